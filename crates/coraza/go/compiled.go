package main

import (
	"path"
	"reflect"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types/variables"
)

// compiled is a rule as the engine holds it, as far as the gate needs it: after all directives that change targets and actions.
// The engine has no interface for this, so it is read by reflection; what does not look as expected makes no gate.
type compiled struct {
	id, phase int
	targets   []target
	// The names of the transformations up to each, and the transformations.
	prefixes []int
	chain    []plugintypes.Transformation
	// multiMatch: the rule looks at the value before each transformation, too.
	each    bool
	pattern pattern
}

// target is a variable of a rule. Exceptions from it are left out: the gate sees some values too many.
type target struct {
	variable variables.RuleVariable
	key      string
	keyRx    *regexp.Regexp
}

// pattern is what a value must have for an operator to match: an expression in the syntax that Go and Rust share, or one of some
// phrases, whose ASCII letters are of any case. With not, a value must not have it.
type pattern struct {
	expression string
	phrases    []string
	not        bool
}

// rulesOf are all rules of a set, as internal/corazawaf has them.
func rulesOf(waf coraza.WAF) reflect.Value {
	return reflect.ValueOf(waf).FieldByName("waf").Elem().FieldByName("Rules").FieldByName("rules")
}

// gatesToFront moves the last rules, which hold the gates, before all others, and gives the gates.
func gatesToFront(waf coraza.WAF) (gates []*gate) {
	hidden := rulesOf(waf)
	all := reflect.NewAt(hidden.Type(), unsafe.Pointer(hidden.UnsafeAddr())).Elem()
	others := all.Len() - phases
	holders := reflect.MakeSlice(all.Type(), phases, phases)
	reflect.Copy(holders, all.Slice(others, all.Len()))
	reflect.Copy(all.Slice(phases, all.Len()), all.Slice(0, others))
	reflect.Copy(all, holders)
	for i := range phases {
		gates = append(gates, laidOpen(all.Index(i).FieldByName("operator").Elem().FieldByName("Operator")).(*gate))
	}
	return gates
}

// gateable says which rules of a set the gate can judge; none where the engine is of another shape.
func gateable(waf coraza.WAF, files *memory) (rules []compiled) {
	err := contained(func() error {
		all := rulesOf(waf)
		counted := countedRules(all)
		for i := range all.Len() {
			if found, ok := readRule(all.Index(i), files); ok && !counted[i] {
				rules = append(rules, found)
			}
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return rules
}

func readRule(rule reflect.Value, files *memory) (compiled, bool) {
	operator := rule.FieldByName("operator")
	found := compiled{id: int(rule.FieldByName("ID_").Int()), phase: int(rule.FieldByName("Phase_").Int())}
	if found.id == 0 || operator.IsNil() {
		return found, false
	}
	// An operator that is negated captures what it finds when the rule does not match.
	negated := operator.Elem().FieldByName("Negation").Bool()
	if negated && rule.FieldByName("Capture").Bool() {
		return found, false
	}
	found.each = rule.FieldByName("MultiMatch").Bool()
	targets := rule.FieldByName("variables")
	for i := range targets.Len() {
		target, ok := readTarget(targets.Index(i))
		if !ok {
			return found, false
		}
		found.targets = append(found.targets, target)
	}
	prefixes, chain := rule.FieldByName("transformationPrefixIDs"), rule.FieldByName("transformations")
	for i := range chain.Len() {
		found.prefixes = append(found.prefixes, int(prefixes.Index(i).Int()))
		step := laidOpen(chain.Index(i).FieldByName("Function")).(plugintypes.Transformation)
		found.chain = append(found.chain, step)
	}
	var ok bool
	found.pattern, ok = readPattern(operator.Elem(), path.Dir(rule.FieldByName("File_").String()), files)
	found.pattern.not = negated
	return found, ok && (!negated || found.pattern.expression != "")
}

// stable are variables that do not change while a phase runs: what the gate has seen is what its rules will see.
var stable = map[variables.RuleVariable]bool{
	variables.Args: true, variables.ArgsGet: true, variables.ArgsPost: true, variables.ArgsPath: true,
	variables.ArgsNames: true, variables.ArgsGetNames: true, variables.ArgsPostNames: true,
	variables.QueryString: true, variables.RequestBasename: true, variables.RequestFilename: true,
	variables.RequestLine: true, variables.RequestMethod: true, variables.RequestProtocol: true,
	variables.RequestURI: true, variables.RequestURIRaw: true, variables.RequestBody: true,
	variables.RequestHeaders: true, variables.RequestHeadersNames: true,
	variables.RequestCookies: true, variables.RequestCookiesNames: true,
	variables.Files: true, variables.FilesNames: true, variables.MultipartFilename: true, variables.MultipartName: true,
	variables.MultipartPartHeaders: true, variables.XML: true, variables.RequestXML: true, variables.JSON: true,
	variables.ResponseBody: true, variables.ResponseHeaders: true, variables.ResponseHeadersNames: true,
	variables.ResponseProtocol: true, variables.ResponseStatus: true, variables.ResponseXML: true,
	variables.ResponseArgs: true, variables.StatusLine: true, variables.RemoteAddr: true, variables.ServerName: true,
}

func readTarget(params reflect.Value) (target, bool) {
	found := target{
		variable: variables.RuleVariable(params.FieldByName("Variable").Uint()),
		key:      params.FieldByName("KeyStr").String(),
		keyRx:    laidOpen(params.FieldByName("KeyRx")).(*regexp.Regexp),
	}
	return found, stable[found.variable] && !params.FieldByName("Count").Bool()
}

func readPattern(operator reflect.Value, dir string, files *memory) (pattern, bool) {
	implementation := operator.FieldByName("Operator").Elem()
	if implementation.Kind() != reflect.Pointer {
		return pattern{}, false
	}
	data := operator.FieldByName("Data").String()
	function := strings.TrimPrefix(operator.FieldByName("Function").String(), "@")
	switch implementation.Type().String() {
	case "*operators.rx":
		compiled := laidOpen(implementation.Elem().FieldByName("re")).(*regexp.Regexp)
		return readExpression(compiled.String())
	case "*operators.pm":
		phrases, ok := readPhrases(function, data, dir, files)
		matcher := laidOpen(implementation.Elem().FieldByName("matcher")).(interface{ PatternCount() int })
		return pattern{phrases: phrases}, ok && len(phrases) == matcher.PatternCount()
	}
	return pattern{}, false
}

// readExpression writes an expression as Go understood it, so that no other reading is left for Rust's: what stands in classes is
// escaped, classes are spelt out. ASCII only, and what folds to it: other tables of Unicode's cases may differ.
func readExpression(text string) (pattern, bool) {
	if known, ok := expressions.Load(text); ok {
		return pattern{expression: known.(string)}, true
	}
	written, ok := writeExpression(text)
	if ok {
		if expressionsKnown.Add(1)%mostExpressions == 0 {
			expressions.Clear()
		}
		expressions.Store(text, written)
	}
	return pattern{expression: written}, ok
}

// What readExpression has written lately: profiles, and the rules before and after a change, have most in common.
var (
	expressions      sync.Map
	expressionsKnown atomic.Int64
)

const mostExpressions = 5000

func writeExpression(text string) (string, bool) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return "", false
	}
	written := strings.Builder{}
	plain := parsed.String()
	plain = strings.NewReplacer("\u212a", `\x{212A}`, "\u017f", `\x{17F}`).Replace(plain)
	for i := 0; i < len(plain); i++ {
		switch {
		case plain[i] >= 0x80:
			return "", false
		case plain[i] == '\\' && (plain[i+1] == 'b' || plain[i+1] == 'B'):
			// Go's words are ASCII.
			written.WriteString(`(?-u:` + plain[i:i+2] + `)`)
			i++
		case plain[i] == '\\':
			written.WriteString(plain[i : i+2])
			i++
		default:
			written.WriteByte(plain[i])
		}
	}
	return written.String(), true
}

// readPhrases takes an operator's argument apart as the engine does: words, or the lines of a file beside the rule's.
func readPhrases(function, data, dir string, files *memory) ([]string, bool) {
	if function == "pm" {
		return strings.Split(strings.ToLower(data), " "), true
	}
	if function != "pmFromFile" && function != "pmf" {
		return nil, false
	}
	if !path.IsAbs(data) {
		data = path.Join(dir, data)
	}
	content, err := files.ReadFile(data)
	if err != nil {
		return nil, false
	}
	var phrases []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			phrases = append(phrases, strings.ToLower(line))
		}
	}
	return phrases, true
}

// laidOpen gives the value of a field that is not exported.
func laidOpen(field reflect.Value) any {
	return reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface()
}
