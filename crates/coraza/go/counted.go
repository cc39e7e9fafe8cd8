package main

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The action skip counts the rules of its phase that follow, but for those that a ctl action has removed. Those that the gate leaves
// out would not be counted either; so it does not judge any that may be counted.

// countedRules are the rules, by index, that a skip may count.
func countedRules(all reflect.Value) map[int]bool {
	counted := map[int]bool{}
	var removed []string
	for i := range all.Len() {
		removed = append(removed, ctlValues(all.Index(i))...)
	}
	for i := range all.Len() {
		rule := all.Index(i)
		phase := rule.FieldByName("Phase_").Int()
		left := skips(rule)
		for j := i + 1; j < all.Len() && left > 0; j++ {
			next := all.Index(j)
			// Markers have the phase 0 and run in each.
			if other := next.FieldByName("Phase_").Int(); other != 0 && other != phase {
				continue
			}
			counted[j] = true
			if !mayBeRemoved(next, removed) {
				left--
			}
		}
	}
	return counted
}

// skips is how many rules a rule skips when it matches.
func skips(rule reflect.Value) int64 {
	count := int64(0)
	for action := range actions(rule, "skip") {
		count += action.FieldByName("data").Int()
	}
	return count
}

// ctlValues are the arguments of a rule's ctl actions, and of those in its chain: the numbers, tags and messages of rules among them.
func ctlValues(rule reflect.Value) (values []string) {
	for {
		for action := range actions(rule, "ctl") {
			values = append(values, action.FieldByName("value").String())
		}
		chain := rule.FieldByName("Chain")
		if chain.IsNil() {
			return values
		}
		rule = chain.Elem()
	}
}

// mayBeRemoved says whether a ctl action with one of these arguments can remove a rule.
func mayBeRemoved(rule reflect.Value, values []string) bool {
	id := int(rule.FieldByName("ID_").Int())
	tags := rule.FieldByName("Tags_")
	return slices.ContainsFunc(values, func(value string) bool {
		from, to, isRange := strings.Cut(value, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(strings.TrimSpace(from))
		last, other := strconv.Atoi(strings.TrimSpace(to))
		if err == nil && other == nil {
			return first <= id && id <= last
		}
		for i := range tags.Len() {
			if tags.Index(i).String() == value {
				return true
			}
		}
		message := rule.FieldByName("Msg")
		return !message.IsNil() && messageOf(message) == value
	})
}

func messageOf(field reflect.Value) string {
	text, _ := laidOpen(field).(interface{ String() string })
	return text.String()
}

// actions are a rule's actions of a name, as the engine has made them.
func actions(rule reflect.Value, name string) func(yield func(reflect.Value) bool) {
	return func(yield func(reflect.Value) bool) {
		all := rule.FieldByName("actions")
		for i := range all.Len() {
			if !strings.EqualFold(all.Index(i).FieldByName("Name").String(), name) {
				continue
			}
			if !yield(all.Index(i).FieldByName("Function").Elem().Elem()) {
				return
			}
		}
	}
}
