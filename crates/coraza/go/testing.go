//go:build portcullis_testing

package main

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

func init() {
	plugins.RegisterOperator("panic", func(plugintypes.OperatorOptions) (plugintypes.Operator, error) { return panics{}, nil })
	plugins.RegisterOperator("crowd", func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		most, err := strconv.Atoi(options.Arguments)
		return &crowd{most: int64(most)}, err
	})
}

// panics is the operator `@panic`: it panics on `panic`, reads through a null pointer on `null`, and takes a second on `slow`.
type panics struct{}

func (panics) Evaluate(_ plugintypes.TransactionState, value string) bool {
	var nowhere *int
	switch value {
	case "panic":
		panic("on purpose")
	case "null":
		return *nowhere == 0
	case "slow":
		time.Sleep(time.Second)
	}
	return false
}

// crowd is the operator `@crowd 3`: who comes stays until more than three are there at once, or for as many milliseconds as the
// value says. It matches for all from then on, and for nobody before.
type crowd struct {
	most    int64
	there   atomic.Int64
	crowded atomic.Bool
}

func (c *crowd) Evaluate(_ plugintypes.TransactionState, value string) bool {
	if c.there.Add(1) > c.most {
		c.crowded.Store(true)
	}
	defer c.there.Add(-1)
	stay, _ := strconv.Atoi(value)
	for until := time.Now().Add(time.Duration(stay) * time.Millisecond); time.Now().Before(until) && !c.crowded.Load(); {
		time.Sleep(time.Millisecond)
	}
	return c.crowded.Load()
}
