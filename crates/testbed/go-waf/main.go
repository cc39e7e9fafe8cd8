// Package main is Coraza by its own Go interface, without anything of ours around it: what the firewall is compared to.
//
//	plain judge TRANSACTIONS VERDICTS NAME=DIRECTIVES…   which rules match, for each line of a file
//	plain serve DIRECTIVES                               an HTTP server behind Coraza's own middleware
//
// Directives are files; what they include as @owasp_crs/… is the Core Rule Set of its Go module.
package main

import (
	"fmt"
	"os"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) >= 4 && args[0] == "judge":
		return judge(args[1], args[2], args[3:])
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	}
	return fmt.Errorf("usage: plain judge TRANSACTIONS VERDICTS NAME=DIRECTIVES… | plain serve DIRECTIVES")
}

// load compiles a file of directives; matched hears of each rule that matches and wants to be logged.
func load(file string, matched func(types.MatchedRule)) (coraza.WAF, error) {
	directives, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config := coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(string(directives))
	if matched != nil {
		config = config.WithErrorCallback(matched)
	}
	return coraza.NewWAF(config)
}
