package main

/*
#include <stddef.h>
#include <stdint.h>

// See matcher.c.
void matcher_is(void *compile, void *scan, void *release);
uintptr_t matcher_compile(const uint8_t *patterns, size_t len);
void matcher_scan(uintptr_t number, const uint8_t *texts, size_t len, uint64_t *found, uint64_t time);
void matcher_free(uintptr_t number);

#cgo noescape matcher_scan
#cgo nocallback matcher_scan
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

// coraza_use_matcher says who looks for patterns (see matcher.c); to be called once, before rules are compiled.
//
//export coraza_use_matcher
func coraza_use_matcher(compile, scan, release unsafe.Pointer) {
	C.matcher_is(compile, scan, release)
}

// A gate stands before the rules of a phase. Most of them look for something that a benign request does not have; the gate asks for
// all of that at once, and tells the engine to leave out the rules that cannot match. A rule that may match is run as ever, so
// verdicts are the same; what a rule without a match does to a transaction is nothing.
//
// It is the operator of a rule before all others, because only there the engine has the phase's variables and has not begun.
type gate struct {
	phase   int
	sources []source
	// The rules that it can judge, by the number of their pattern.
	rules   []int
	matcher C.uintptr_t
	// Numbers for the patterns, in words of 64.
	words   int
	scratch sync.Pool
}

// source is a target of rules, and the transformations that rules apply to its values.
type source struct {
	target
	steps []gateStep
}

// gateStep is a transformation after another one (-1: of the value itself), with the patterns of rules whose chain ends here.
type gateStep struct {
	before   int
	function plugintypes.Transformation
	prefix   int
	patterns []uint64
}

// The identifiers of the rules that hold the gates: this and the next ones.
const gateRule = 2_147_483_000

const phases = 4

// gateRules are the directives that make gates. They come last, so that others keep their lines, and are moved to the front.
func gateRules() string {
	text := ""
	for phase := 1; phase <= phases; phase++ {
		text += fmt.Sprintf("SecRule UNIQUE_ID \"@portcullisGate %d\" \"id:%d,phase:%d,pass,t:none,nolog,noauditlog\"\n",
			phase, gateRule+phase, phase)
	}
	return text
}

func init() {
	plugins.RegisterOperator("portcullisGate", func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		phase, err := strconv.Atoi(options.Arguments)
		return &gate{phase: phase}, err
	})
}

// buildGates gives the gates of a rule set the rules that they judge, and says how many these are.
func buildGates(waf coraza.WAF, files *memory) (gates []*gate, judged int) {
	rules := gateable(waf, files)
	if rules == nil {
		return nil, 0
	}
	gates = gatesToFront(waf)
	for _, gate := range gates {
		gate.build(rules)
		judged += len(gate.rules)
	}
	return gates, judged
}

func (g *gate) build(rules []compiled) {
	w := writer{}
	var own []compiled
	for _, rule := range rules {
		if rule.phase == g.phase {
			own = append(own, rule)
		}
	}
	g.words = (len(own) + 63) / 64
	for number, rule := range own {
		g.rules = append(g.rules, rule.id)
		not := 0
		if rule.pattern.not {
			not = 1
		}
		w.number(not)
		w.text(rule.pattern.expression)
		w.number(len(rule.pattern.phrases))
		for _, phrase := range rule.pattern.phrases {
			w.text(phrase)
		}
		for _, target := range rule.targets {
			g.source(target).add(rule, number, g.words)
		}
	}
	if len(own) > 0 {
		g.matcher = C.matcher_compile((*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(w.bytes))), C.size_t(len(w.bytes)))
	}
}

func (g *gate) free() {
	if g.matcher != 0 {
		C.matcher_free(g.matcher)
		g.matcher = 0
	}
}

func (g *gate) source(wanted target) *source {
	for i := range g.sources {
		if g.sources[i].target.same(wanted) {
			return &g.sources[i]
		}
	}
	g.sources = append(g.sources, source{target: wanted, steps: []gateStep{{before: -1}}})
	return &g.sources[len(g.sources)-1]
}

func (t target) same(other target) bool {
	if t.variable != other.variable || t.key != other.key || (t.keyRx == nil) != (other.keyRx == nil) {
		return false
	}
	return t.keyRx == nil || t.keyRx.String() == other.keyRx.String()
}

// add puts a rule's chain among the steps, which share their beginnings, and its pattern at the end of it.
func (s *source) add(rule compiled, number, words int) {
	at := 0
	for i, prefix := range rule.prefixes {
		if rule.each {
			s.steps[at].want(number, words)
		}
		at = s.after(at, prefix, rule.chain[i])
	}
	s.steps[at].want(number, words)
}

// after is the step that applies a transformation after another step.
func (s *source) after(before, prefix int, function plugintypes.Transformation) int {
	for i := 1; i < len(s.steps); i++ {
		if s.steps[i].prefix == prefix {
			return i
		}
	}
	s.steps = append(s.steps, gateStep{before: before, function: function, prefix: prefix})
	return len(s.steps) - 1
}

func (s *gateStep) want(number, words int) {
	if s.patterns == nil {
		s.patterns = make([]uint64, words)
	}
	s.patterns[number/64] |= 1 << (number % 64)
}

// values are those that the engine gives to a rule with this target.
func (t target) values(tx plugintypes.TransactionState) []types.MatchData {
	found := tx.Collection(t.variable)
	keyed, selectable := found.(collection.Keyed)
	switch {
	case found == nil:
		return nil
	case t.keyRx != nil && selectable:
		return keyed.FindRegex(t.keyRx)
	case t.key != "" && selectable:
		return keyed.FindString(t.key)
	default:
		return found.FindAll()
	}
}

// scratch is what a gate needs for a transaction.
type scratch struct {
	// The texts to look at, each once, and the patterns to look for in it.
	known    map[string]int
	texts    []string
	patterns []uint64
	// A value after each step.
	after []string
	batch []byte
	found []uint64
}

// Evaluate never matches. It is asked once a phase: the variable of its rule has one value.
func (g *gate) Evaluate(tx plugintypes.TransactionState, _ string) bool {
	remover, ok := tx.(interface{ RemoveRuleByID(id int) })
	if !ok || g.matcher == 0 {
		return false
	}
	s, _ := g.scratch.Get().(*scratch)
	if s == nil {
		s = &scratch{known: map[string]int{}, found: make([]uint64, g.words)}
	}
	for i := range g.sources {
		g.collect(s, &g.sources[i], tx)
	}
	clock, _ := tx.DebugLogger().(*clock)
	g.scan(s, clock.left())
	for number, id := range g.rules {
		if s.found[number/64]&(1<<(number%64)) == 0 {
			remover.RemoveRuleByID(id)
		}
	}
	s.reset()
	g.scratch.Put(s)
	return false
}

func (g *gate) collect(s *scratch, from *source, tx plugintypes.TransactionState) {
	for _, value := range from.values(tx) {
		// The clock looks at the time here (see clock.go).
		tx.DebugLogger().Debug()
		s.after = append(s.after[:0], value.Value())
		for i := range from.steps {
			step := &from.steps[i]
			if i > 0 {
				s.after = append(s.after, transformed(step.function, s.after[step.before]))
			}
			if step.patterns != nil {
				s.add(s.after[i], step.patterns)
			}
		}
	}
}

// transformed is what the engine makes of a value: a transformation that fails changes nothing.
func transformed(function plugintypes.Transformation, value string) string {
	if result, _, err := function(value); err == nil {
		return result
	}
	return value
}

func (s *scratch) add(text string, patterns []uint64) {
	at, ok := s.known[text]
	if !ok {
		at = len(s.texts) * len(patterns)
		s.known[text] = at
		s.texts = append(s.texts, text)
		s.patterns = append(s.patterns, patterns...)
		return
	}
	for i, word := range patterns {
		s.patterns[at+i] |= word
	}
}

// scan asks the matcher about a batch: for each text the words of patterns to look for, its length and the text. Where the time is
// not enough everything counts as found.
func (g *gate) scan(s *scratch, time time.Duration) {
	for i, text := range s.texts {
		for _, word := range s.patterns[i*g.words : (i+1)*g.words] {
			s.batch = binary.LittleEndian.AppendUint64(s.batch, word)
		}
		s.batch = binary.LittleEndian.AppendUint32(s.batch, uint32(len(text)))
		s.batch = append(s.batch, text...)
	}
	C.matcher_scan(g.matcher, (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(s.batch))), C.size_t(len(s.batch)),
		(*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(s.found))), C.uint64_t(time))
}

// reset keeps memory, but no text, and not what a giant request has left.
func (s *scratch) reset() {
	const much = 1 << 20
	if cap(s.batch) > much {
		s.batch = nil
	}
	clear(s.known)
	clear(s.texts)
	clear(s.after)
	clear(s.found)
	s.texts, s.patterns, s.after, s.batch = s.texts[:0], s.patterns[:0], s.after[:0], s.batch[:0]
}
