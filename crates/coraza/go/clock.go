package main

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/corazawaf/coraza/v3/debuglog"
)

// The longest that a step may take, in nanoseconds; 0: as long as it likes.
var longestStep atomic.Int64

var errLate = errors.New("the time for a step is up")

// lookEvery is how often the clock is looked at: one of so many times that it is asked.
const lookEvery = 16

// clock ends steps that take too long. The engine cannot be told to stop, but it asks the debug log of its transaction for a line
// before every rule, and after every value that a rule has looked at: that is where we look at the time, and leave by a panic.
type clock struct {
	silent
	begun   time.Time
	allowed time.Duration
	asked   int
}

// begin starts a step. Without a clock there is nothing to start.
func (c *clock) begin() {
	if c != nil {
		c.begun, c.allowed = time.Now(), time.Duration(longestStep.Load())
	}
}

// left is how long the step may still take; 0: as long as it likes.
func (c *clock) left() time.Duration {
	if c == nil || c.allowed == 0 {
		return 0
	}
	return max(c.allowed-time.Since(c.begun), 1)
}

func (c *clock) Debug() debuglog.Event {
	c.asked++
	if c.asked%lookEvery == 0 && c.allowed > 0 && time.Since(c.begun) > c.allowed {
		panic(errLate)
	}
	return quiet{}
}

func (c *clock) WithOutput(io.Writer) debuglog.Logger          { return c }
func (c *clock) WithLevel(debuglog.Level) debuglog.Logger      { return c }
func (c *clock) With(...debuglog.ContextField) debuglog.Logger { return c }

// clocks is the log of a rule set: each transaction takes one from it.
type clocks struct {
	silent
}

func (c clocks) WithOutput(io.Writer) debuglog.Logger          { return c }
func (c clocks) WithLevel(debuglog.Level) debuglog.Logger      { return c }
func (c clocks) With(...debuglog.ContextField) debuglog.Logger { return &clock{} }

// silent writes nothing.
type silent struct{}

func (silent) Trace() debuglog.Event { return quiet{} }
func (silent) Debug() debuglog.Event { return quiet{} }
func (silent) Info() debuglog.Event  { return quiet{} }
func (silent) Warn() debuglog.Event  { return quiet{} }
func (silent) Error() debuglog.Event { return quiet{} }
