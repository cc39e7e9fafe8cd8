package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	older "portcullis.local/crs-4-22/v4"
)

// The Core Rule Sets inside, the newest first.
var coreRules = []struct {
	version string
	files   fs.FS
}{
	{"4.25.0", coreruleset.FS},
	{"4.22.0", older.FS},
}

func versions() string {
	text := "coraza " + moduleVersion("github.com/corazawaf/coraza/v3")
	for _, set := range coreRules {
		text += "\ncrs " + set.version
	}
	return text
}

func moduleVersion(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	return "unknown"
}

type ruleSet struct {
	waf   experimental.WAFWithOptions
	close func() error
	count int
	// The gates before the rules of a phase, and how many rules they judge.
	gates  []*gate
	judged int
}

// free lets go of it, once no transaction uses it.
func (s *ruleSet) free() error {
	for _, gate := range s.gates {
		gate.free()
	}
	return s.close()
}

// compile reads a batch: the version of the Core Rule Set, whether there shall be a gate (1), then names and contents of files. Each
// file whose name begins with `+` is loaded, in the order of the batch; the others are there to be included.
func compile(batch reader) (*ruleSet, error) {
	core, gated := batch.text(), batch.number() == 1
	files := &memory{files: map[string]string{}}
	var load []string
	for batch.more() {
		name, content := batch.text(), batch.text()
		if plain, ok := strings.CutPrefix(name, "+"); ok {
			name = plain
			load = append(load, name)
		}
		files.files[name] = content
	}
	if batch.err != nil {
		return nil, batch.err
	}
	for _, set := range coreRules {
		if set.version == core {
			files.core = set.files
		}
	}
	if files.core == nil {
		return nil, fmt.Errorf("there is no Core Rule Set %q inside", core)
	}
	config := coraza.NewWAFConfig().WithRootFS(files).WithDebugLogger(clocks{})
	for _, name := range load {
		config = config.WithDirectivesFromFile(name)
	}
	if gated {
		config = config.WithDirectives(gateRules())
	}
	waf, err := build(config)
	if err != nil {
		return nil, locate(config, files, err)
	}
	set := &ruleSet{waf: waf.(experimental.WAFWithOptions), close: waf.(experimental.WAFCloser).Close}
	if counted, ok := waf.(experimental.WAFWithRules); ok {
		set.count = counted.RulesCount()
	}
	if gated {
		set.gates, set.judged = buildGates(waf, files)
		set.count -= phases
	}
	return set, nil
}

// build contains panics of the parser, which some wrong directives cause.
func build(config coraza.WAFConfig) (waf coraza.WAF, err error) {
	err = contained(func() (err error) {
		waf, err = coraza.NewWAF(config)
		return err
	})
	return waf, err
}

// memory is what rules may read: the files of a batch, and the Core Rule Set below names with an @. Nothing of the machine.
type memory struct {
	files map[string]string
	core  fs.FS
	// The file that was read last.
	last string
}

// own gives the name as the batch has it, or an empty one for the Core Rule Set's.
func own(name string) (string, bool) {
	if at := strings.Index(name, "@"); at >= 0 {
		return name[at:], false
	}
	return strings.TrimPrefix(path.Clean(name), "/"), true
}

func (m *memory) ReadFile(name string) ([]byte, error) {
	clean, mine := own(name)
	if content, ok := m.files[clean]; ok {
		m.last = clean
		return []byte(content), nil
	}
	if mine {
		return nil, &fs.PathError{Op: "open", Path: clean, Err: fs.ErrNotExist}
	}
	content, err := fs.ReadFile(m.core, clean)
	if err == nil {
		m.last = clean
	}
	return content, err
}

func (m *memory) Open(name string) (fs.File, error) {
	clean, mine := own(name)
	if mine {
		return nil, &fs.PathError{Op: "open", Path: clean, Err: errors.ErrUnsupported}
	}
	return m.core.Open(clean)
}

func (m *memory) Glob(pattern string) ([]string, error) {
	clean, mine := own(pattern)
	if !mine {
		return fs.Glob(m.core, clean)
	}
	var names []string
	for name := range m.files {
		if matches, err := path.Match(clean, name); err != nil {
			return nil, err
		} else if matches {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}
