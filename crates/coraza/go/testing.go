//go:build portcullis_testing

package main

import (
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

func init() {
	plugins.RegisterOperator("panic", func(plugintypes.OperatorOptions) (plugintypes.Operator, error) { return panics{}, nil })
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
