package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/debuglog"
)

// problem is why rules cannot be used: in which file and line, and by which directive, as far as that is known.
type problem struct {
	file      string
	line      int
	directive string
	why       error
}

func (p *problem) Error() string {
	return p.why.Error()
}

func encodeProblem(err error) []byte {
	var found *problem
	if !errors.As(err, &found) {
		found = &problem{why: err}
	}
	w := writer{}
	w.text(found.file)
	w.number(found.line)
	w.text(found.directive)
	w.text(found.why.Error())
	return w.bytes
}

// locate compiles once more and listens, since the engine's errors do not say where they come from: it logs each directive
// before it acts on it.
func locate(config coraza.WAFConfig, files *memory, err error) error {
	heard := &listener{}
	_, again := build(config.WithDebugLogger(heard))
	if again == nil {
		return err
	}
	content := files.files[files.last]
	text, line := find(content, heard.directive, heard.times)
	if line == 0 {
		return &problem{file: files.last, why: innermost(again)}
	}
	return &problem{file: files.last, line: line, directive: text, why: innermost(again)}
}

// innermost strips what the engine says around a cause: that it is a wrong file, within which a directive failed, …
func innermost(err error) error {
	text := err.Error()
	for _, around := range []string{"invalid WAF config from file: ", "failed to parse string: ", "failed to readfile: "} {
		for {
			_, rest, found := strings.Cut(text, around)
			if !found {
				break
			}
			text = rest
		}
	}
	return errors.New(text)
}

// find gives the first line of a directive's last occurrence among so many, as a file has it.
func find(content, directive string, times int) (string, int) {
	var logical strings.Builder
	first, found := 0, 0
	for number, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if logical.Len() == 0 {
			first = number + 1
		}
		if rest, ok := strings.CutSuffix(line, "\\"); ok {
			logical.WriteString(rest)
			continue
		}
		logical.WriteString(line)
		if logical.String() == directive {
			found = first
			if times--; times == 0 {
				break
			}
		}
		logical.Reset()
	}
	name, _, _ := strings.Cut(directive, " ")
	return name, found
}

// listener remembers the directive that was parsed last, and how often that same text was met.
type listener struct {
	directive string
	times     int
	seen      map[string]int
	silent
}

func (l *listener) parsing(directive string) {
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[directive]++
	l.directive, l.times = directive, l.seen[directive]
}

func (l *listener) WithOutput(io.Writer) debuglog.Logger          { return l }
func (l *listener) WithLevel(debuglog.Level) debuglog.Logger      { return l }
func (l *listener) With(...debuglog.ContextField) debuglog.Logger { return l }
func (l *listener) Debug() debuglog.Event                         { return &event{listener: l} }

// event is a line of the log that may be about parsing.
type event struct {
	quiet
	listener *listener
	line     string
}

func (e *event) Msg(message string) {
	if message == "Parsing directive" {
		e.listener.parsing(e.line)
	}
}

func (e *event) Str(key, value string) debuglog.Event {
	if key == "line" {
		e.line = value
	}
	return e
}

func (e *event) IsEnabled() bool { return true }

// quiet is a line of the log that nobody wants.
type quiet struct{}

func (q quiet) Msg(string)                                   {}
func (q quiet) Str(string, string) debuglog.Event            { return q }
func (q quiet) Err(error) debuglog.Event                     { return q }
func (q quiet) Bool(string, bool) debuglog.Event             { return q }
func (q quiet) Int(string, int) debuglog.Event               { return q }
func (q quiet) Uint(string, uint) debuglog.Event             { return q }
func (q quiet) Stringer(string, fmt.Stringer) debuglog.Event { return q }
func (q quiet) IsEnabled() bool                              { return false }
