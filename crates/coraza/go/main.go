// Package main is the Go side of the crate coraza: the functions that Rust calls.
//
// Values cross the border in batches: one buffer of strings, each after its length (see wire.go). What Go hands out is
// either a number that stands for a Go value (a rule set, a transaction) or memory of C, which the caller frees.
package main

/*
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Memory of C, to be freed with coraza_free_bytes.
typedef struct {
	uint8_t *data;
	size_t len;
} coraza_bytes;

// How a step of a transaction ended.
typedef struct {
	// 0 it goes on, 1 a rule decided, 2 the engine failed (text says why), 3 it goes on because rules only detect: else this one had
	// decided, 4 it took too long and was ended.
	uint8_t state;
	// With state 1 or 3: 0 deny, 1 redirect, 2 drop, 3 anything else.
	uint8_t action;
	// The engine looks at: 1 request bodies, 2 response bodies, 4 the body of this response, 8 nothing at all.
	uint8_t reads;
	// With state 1 or 3: the status that the rule asks for, or 0.
	uint16_t status;
	// With state 1 or 3: the rule.
	int64_t rule;
	// Anomaly scores so far.
	int32_t inbound;
	int32_t outbound;
	// Rules that matched and want to be logged, so far.
	uint32_t matches;
	// With state 1 or 3 where a redirect goes; with state 2 the reason.
	coraza_bytes text;
} coraza_outcome;
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"runtime/debug"
	"time"
	"unsafe"
)

func main() {}

const (
	goesOn = iota
	decided
	failed
	detected
	late
)

// coraza_limits bounds the Go runtime: threads that run Go code, bytes of memory that the collector aims at, and how much
// the heap may grow between collections in percent; and the milliseconds that a step of a transaction may take. 0 leaves a setting
// as it is.
//
//export coraza_limits
func coraza_limits(threads C.int32_t, memory C.int64_t, growth C.int32_t, step C.uint32_t) {
	if threads > 0 {
		runtime.GOMAXPROCS(int(threads))
	}
	if memory > 0 {
		debug.SetMemoryLimit(int64(memory))
	}
	if growth > 0 {
		debug.SetGCPercent(int(growth))
	}
	if step > 0 {
		longestStep.Store(int64(time.Duration(step) * time.Millisecond))
	}
}

// coraza_memory says how many bytes live Go values take, after a collection, and how many the Go runtime holds.
//
//export coraza_memory
func coraza_memory(live *C.uint64_t, held *C.uint64_t) {
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	*live = C.uint64_t(stats.HeapAlloc)
	*held = C.uint64_t(stats.Sys - stats.HeapReleased)
}

// coraza_signals makes handlers of signals run on stacks that are for that (see signals.go), and says for how many it was new.
//
//export coraza_signals
func coraza_signals() C.uint32_t {
	return C.uint32_t(signalsOnTheirStack())
}

// coraza_free_bytes frees what a function of this library has returned.
//
//export coraza_free_bytes
func coraza_free_bytes(bytes C.coraza_bytes) {
	C.free(unsafe.Pointer(bytes.data))
}

// coraza_versions names the engine and the rule sets inside, a line each.
//
//export coraza_versions
func coraza_versions() C.coraza_bytes {
	return give([]byte(versions()))
}

// coraza_compile makes a rule set of a batch of files (see source.go), and says how many rules it has and how many of them the gate
// judges. A number of 0 is a failure, told in problem.
//
//export coraza_compile
func coraza_compile(data *C.uint8_t, size C.size_t, rules, judged *C.uint64_t,
	problem *C.coraza_bytes,
) C.uintptr_t {
	var set *ruleSet
	err := contained(func() (err error) {
		set, err = compile(take(data, size))
		return err
	})
	if err != nil {
		*problem = give(encodeProblem(err))
		return 0
	}
	*rules, *judged = C.uint64_t(set.count), C.uint64_t(set.judged)
	return C.uintptr_t(cgo.NewHandle(set))
}

// coraza_free_rules lets go of a rule set, which no transaction uses any more.
//
//export coraza_free_rules
func coraza_free_rules(rules C.uintptr_t) {
	handle := cgo.Handle(rules)
	_ = contained(func() error { return handle.Value().(*ruleSet).free() })
	handle.Delete()
}

// coraza_begin starts a transaction with a batch (see transaction.go) and runs the rules of request headers; with done, there
// is no body and the rules of the request body are run too. The number is never 0.
//
//export coraza_begin
func coraza_begin(rules C.uintptr_t, data *C.uint8_t, size C.size_t, done C.uint8_t, outcome *C.coraza_outcome) C.uintptr_t {
	tx := &transaction{}
	step(tx, outcome, func() error {
		return tx.begin(cgo.Handle(rules).Value().(*ruleSet), take(data, size), done != 0)
	})
	return C.uintptr_t(cgo.NewHandle(tx))
}

// coraza_request_body adds to the request's body; with done, that was all of it and its rules are run.
//
//export coraza_request_body
func coraza_request_body(number C.uintptr_t, data *C.uint8_t, size C.size_t, done C.uint8_t, outcome *C.coraza_outcome) {
	tx := cgo.Handle(number).Value().(*transaction)
	step(tx, outcome, func() error { return tx.requestBody(borrow(data, size), done != 0) })
}

// coraza_response runs the rules of response headers, a batch; with done, those of the response body too.
//
//export coraza_response
func coraza_response(number C.uintptr_t, data *C.uint8_t, size C.size_t, done C.uint8_t, outcome *C.coraza_outcome) {
	tx := cgo.Handle(number).Value().(*transaction)
	step(tx, outcome, func() error { return tx.response(take(data, size), done != 0) })
}

// coraza_response_body adds to the response's body; with done, that was all of it and its rules are run.
//
//export coraza_response_body
func coraza_response_body(number C.uintptr_t, data *C.uint8_t, size C.size_t, done C.uint8_t, outcome *C.coraza_outcome) {
	tx := cgo.Handle(number).Value().(*transaction)
	step(tx, outcome, func() error { return tx.responseBody(borrow(data, size), done != 0) })
}

// coraza_finish runs the rules of logging.
//
//export coraza_finish
func coraza_finish(number C.uintptr_t, outcome *C.coraza_outcome) {
	tx := cgo.Handle(number).Value().(*transaction)
	step(tx, outcome, tx.finish)
}

// coraza_matches says which rules have matched so far, of those that want to be logged; empty when the engine failed.
//
//export coraza_matches
func coraza_matches(number C.uintptr_t) C.coraza_bytes {
	tx := cgo.Handle(number).Value().(*transaction)
	var text []byte
	if contained(func() error { text = tx.encodeMatches(); return nil }) != nil {
		return C.coraza_bytes{}
	}
	return give(text)
}

// coraza_end lets go of a transaction.
//
//export coraza_end
func coraza_end(number C.uintptr_t) {
	handle := cgo.Handle(number)
	_ = contained(handle.Value().(*transaction).close)
	handle.Delete()
}

// step runs a step of a transaction and tells how it ended. After a failure the transaction takes no more steps.
func step(tx *transaction, outcome *C.coraza_outcome, run func() error) {
	*outcome = C.coraza_outcome{}
	if tx.broken == nil {
		tx.clock.begin()
		tx.broken = contained(func() error {
			if err := run(); err != nil {
				return err
			}
			describe(tx, outcome)
			return nil
		})
	}
	if tx.broken == errLate {
		*outcome = C.coraza_outcome{state: late}
	} else if tx.broken != nil {
		*outcome = C.coraza_outcome{state: failed, text: give([]byte(tx.broken.Error()))}
	}
}

func describe(tx *transaction, outcome *C.coraza_outcome) {
	outcome.reads = C.uint8_t(tx.reads())
	inbound, outbound := tx.scores()
	outcome.inbound, outcome.outbound = C.int32_t(inbound), C.int32_t(outbound)
	outcome.matches = C.uint32_t(tx.matches())
	interruption := tx.tx.Interruption()
	outcome.state = decided
	if interruption == nil {
		interruption = tx.detection()
		outcome.state = detected
	}
	if interruption == nil {
		outcome.state = goesOn
		return
	}
	outcome.rule = C.int64_t(interruption.RuleID)
	outcome.status = C.uint16_t(interruption.Status)
	switch interruption.Action {
	case "deny":
		outcome.action = 0
	case "redirect":
		outcome.action = 1
		outcome.text = give([]byte(interruption.Data))
	case "drop":
		outcome.action = 2
	default:
		outcome.action = 3
	}
}

// contained turns a panic into an error: one transaction fails, not the process.
func contained(run func() error) (err error) {
	defer func() {
		if cause := recover(); cause == errLate {
			err = errLate
		} else if cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return run()
}

// take copies a batch, once: all strings made of it share the copy.
func take(data *C.uint8_t, size C.size_t) reader {
	return reader{rest: string(borrow(data, size))}
}

// borrow lends memory of the caller for the time of a call.
func borrow(data *C.uint8_t, size C.size_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size))
}

func give(text []byte) C.coraza_bytes {
	if len(text) == 0 {
		return C.coraza_bytes{}
	}
	return C.coraza_bytes{data: (*C.uint8_t)(C.CBytes(text)), len: C.size_t(len(text))}
}
