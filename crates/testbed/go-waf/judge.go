package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

// transaction is a line of the input. Bytes are in base64.
type transaction struct {
	ID       string      `json:"id"`
	Profile  string      `json:"profile"`
	Method   string      `json:"method"`
	Target   []byte      `json:"target"`
	Protocol string      `json:"protocol"`
	Host     []byte      `json:"host"`
	Headers  [][2][]byte `json:"headers"`
	Body     []byte      `json:"body"`
	Response *response   `json:"response"`
}

type response struct {
	Status  int         `json:"status"`
	Headers [][2][]byte `json:"headers"`
	Body    []byte      `json:"body"`
}

// verdict is a line of the output.
type verdict struct {
	ID string `json:"id"`
	// The rules that matched and want to be logged, in their order.
	Rules    []int `json:"rules"`
	Inbound  int   `json:"inbound"`
	Outbound int   `json:"outbound"`
	// Whether a rule decided.
	Refused bool `json:"refused"`
}

func judge(from, to string, profiles []string) error {
	input, err := os.Open(from)
	if err != nil {
		return err
	}
	output, err := os.Create(to)
	if err != nil {
		return err
	}
	var rules []int
	matched := func(match types.MatchedRule) { rules = append(rules, match.Rule().ID()) }
	wafs := map[string]coraza.WAF{}
	for _, profile := range profiles {
		name, file, _ := strings.Cut(profile, "=")
		if wafs[name], err = load(file, matched); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	lines, buffered := json.NewDecoder(bufio.NewReader(input)), bufio.NewWriter(output)
	written := json.NewEncoder(buffered)
	for {
		var one transaction
		if err := lines.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		waf := wafs[one.Profile]
		if waf == nil {
			return fmt.Errorf("%s: there is no profile %q", one.ID, one.Profile)
		}
		rules = []int{}
		result, err := one.run(waf)
		if err != nil {
			return fmt.Errorf("%s: %w", one.ID, err)
		}
		result.Rules = rules
		if err := written.Encode(result); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return output.Close()
}

// run takes a transaction through all phases, as far as rules let it.
func (t *transaction) run(waf coraza.WAF) (*verdict, error) {
	tx := waf.(experimental.WAFWithOptions).NewTransactionWithOptions(experimental.Options{ID: t.ID})
	err := t.phases(tx)
	tx.ProcessLogging()
	scores := tx.(plugintypes.TransactionState).Variables().TX()
	score := func(name string) int {
		number := 0
		for _, text := range scores.Get(name) {
			number, _ = strconv.Atoi(text)
		}
		return number
	}
	result := &verdict{
		ID:       t.ID,
		Inbound:  score("blocking_inbound_anomaly_score"),
		Outbound: score("blocking_outbound_anomaly_score"),
		Refused:  tx.IsInterrupted(),
	}
	return result, errors.Join(err, tx.Close())
}

func (t *transaction) phases(tx types.Transaction) error {
	tx.ProcessConnection("192.0.2.1", 12345, "192.0.2.2", 80)
	tx.ProcessURI(string(t.Target), t.Method, t.Protocol)
	tx.SetServerName(string(t.Host))
	for _, field := range t.Headers {
		tx.AddRequestHeader(string(field[0]), string(field[1]))
	}
	if tx.ProcessRequestHeaders() != nil {
		return nil
	}
	if len(t.Body) > 0 {
		if interruption, _, err := tx.WriteRequestBody(t.Body); err != nil || interruption != nil {
			return err
		}
	}
	if interruption, err := tx.ProcessRequestBody(); err != nil || interruption != nil || t.Response == nil {
		return err
	}
	for _, field := range t.Response.Headers {
		tx.AddResponseHeader(string(field[0]), string(field[1]))
	}
	if tx.ProcessResponseHeaders(t.Response.Status, t.Protocol) != nil {
		return nil
	}
	if tx.IsResponseBodyAccessible() && tx.IsResponseBodyProcessable() && len(t.Response.Body) > 0 {
		if interruption, _, err := tx.WriteResponseBody(t.Response.Body); err != nil || interruption != nil {
			return err
		}
	}
	_, err := tx.ProcessResponseBody()
	return err
}
