package main

import (
	"strconv"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

const (
	readsRequestBodies = 1 << iota
	readsResponseBodies
	readsThisResponse
	readsNothing
)

type transaction struct {
	tx    types.Transaction
	clock *clock
	// Why it takes no more steps.
	broken error
}

// begin reads a batch: id, client's address and port, server's, method, target, protocol, server's name, then names and values
// of headers.
func (t *transaction) begin(rules *ruleSet, batch reader, done bool) error {
	t.tx = rules.waf.NewTransactionWithOptions(experimental.Options{ID: batch.text()})
	t.clock, _ = t.tx.DebugLogger().(*clock)
	t.clock.begin()
	client, clientPort := batch.text(), batch.number()
	server, serverPort := batch.text(), batch.number()
	t.tx.ProcessConnection(client, int(clientPort), server, int(serverPort))
	method, target, protocol := batch.text(), batch.text(), batch.text()
	t.tx.ProcessURI(target, method, protocol)
	t.tx.SetServerName(batch.text())
	for batch.more() {
		name, value := batch.text(), batch.text()
		t.tx.AddRequestHeader(name, value)
	}
	if batch.err != nil {
		return batch.err
	}
	if t.tx.ProcessRequestHeaders() != nil || !done {
		return nil
	}
	_, err := t.tx.ProcessRequestBody()
	return err
}

func (t *transaction) requestBody(body []byte, done bool) error {
	if len(body) > 0 {
		if interruption, _, err := t.tx.WriteRequestBody(body); err != nil || interruption != nil {
			return err
		}
	}
	if !done {
		return nil
	}
	_, err := t.tx.ProcessRequestBody()
	return err
}

// response reads a batch: the protocol, the status, then names and values of headers.
func (t *transaction) response(batch reader, done bool) error {
	protocol, status := batch.text(), batch.number()
	for batch.more() {
		name, value := batch.text(), batch.text()
		t.tx.AddResponseHeader(name, value)
	}
	if batch.err != nil {
		return batch.err
	}
	if t.tx.ProcessResponseHeaders(int(status), protocol) != nil || !done {
		return nil
	}
	_, err := t.tx.ProcessResponseBody()
	return err
}

func (t *transaction) responseBody(body []byte, done bool) error {
	if len(body) > 0 {
		if interruption, _, err := t.tx.WriteResponseBody(body); err != nil || interruption != nil {
			return err
		}
	}
	if !done {
		return nil
	}
	_, err := t.tx.ProcessResponseBody()
	return err
}

func (t *transaction) finish() error {
	t.tx.ProcessLogging()
	return nil
}

func (t *transaction) close() error {
	if t.tx == nil || t.broken != nil {
		// What a panic left behind must not get into the pool of transactions.
		return nil
	}
	return t.tx.Close()
}

func (t *transaction) reads() int {
	reads := 0
	if t.tx.IsRuleEngineOff() {
		return readsNothing
	}
	if t.tx.IsRequestBodyAccessible() {
		reads |= readsRequestBodies
	}
	if t.tx.IsResponseBodyAccessible() {
		reads |= readsResponseBodies
		if t.tx.IsResponseBodyProcessable() {
			reads |= readsThisResponse
		}
	}
	return reads
}

// detection is what rules that only detect would have decided.
func (t *transaction) detection() *types.Interruption {
	if detecting, ok := t.tx.(interface{ DetectionOnlyInterruption() *types.Interruption }); ok {
		return detecting.DetectionOnlyInterruption()
	}
	return nil
}

// scores are those of the Core Rule Set, which adds up what counts for blocking.
func (t *transaction) scores() (inbound, outbound int) {
	state, ok := t.tx.(plugintypes.TransactionState)
	if !ok {
		return 0, 0
	}
	values := state.Variables().TX()
	return score(values, "blocking_inbound_anomaly_score"), score(values, "blocking_outbound_anomaly_score")
}

func score(values collection.Map, name string) int {
	for _, text := range values.Get(name) {
		number, _ := strconv.Atoi(text)
		return number
	}
	return 0
}

// wanted says whether a match is worth telling: most of the rules of a set only do sums.
func wanted(match types.MatchedRule) bool {
	logged, ok := match.(interface{ Log() bool })
	return !ok || logged.Log()
}

func (t *transaction) matches() int {
	count := 0
	for _, match := range t.tx.MatchedRules() {
		if wanted(match) {
			count++
		}
	}
	return count
}

// encodeMatches writes each match: rule, severity, phase, whether it was disruptive, file, line, version, message, data; the
// number of tags and the tags; the number of places and, for each, variable, key and value.
func (t *transaction) encodeMatches() []byte {
	w := writer{}
	if t.tx == nil {
		return nil
	}
	for _, match := range t.tx.MatchedRules() {
		if !wanted(match) {
			continue
		}
		rule := match.Rule()
		w.number(rule.ID())
		w.number(int(rule.Severity()))
		w.number(int(rule.Phase()))
		disruptive := 0
		if match.Disruptive() {
			disruptive = 1
		}
		w.number(disruptive)
		w.text(rule.File())
		w.number(rule.Line())
		w.text(rule.Version())
		w.text(match.Message())
		w.text(match.Data())
		w.number(len(rule.Tags()))
		for _, tag := range rule.Tags() {
			w.text(tag)
		}
		w.number(len(match.MatchedDatas()))
		for _, place := range match.MatchedDatas() {
			w.text(place.Variable().Name())
			w.text(place.Key())
			w.text(place.Value())
		}
	}
	return w.bytes
}
