package huddle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/huddle-cache/huddle"

// listed is what this test reads of one package in the output of go list -json.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// layers names the parts of the module and what each may import of the others. The longest path that fits names a
// package's part; a part may always import itself.
var layers = map[string][]string{
	"":           {},
	"ring":       {},
	"node/store": {},
	"transport":  {"node/store"},
	"node":       {"ring", "node/store", "transport"},
	"strategy":   {"node", "ring", "node/store", "transport"},
	"cmd":        {"strategy", "node", "ring", "node/store", "transport"},
	"examples":   {"strategy", "node", "ring", "node/store", "transport"},
}

// fenced are libraries that only some packages may import: the prefix of the path, and below which folders.
var fenced = []struct {
	library string
	within  []string
}{
	{"github.com/prometheus/", []string{"cmd", "examples"}},
	{"github.com/alecthomas/kong", []string{"cmd", "examples"}},
	{"github.com/spf13/", []string{"cmd", "examples"}},
	{"github.com/urfave/", []string{"cmd", "examples"}},
	{"github.com/tidwall/redcon", []string{"transport/resp"}},
}

// below tells whether path is folder or lies in it.
func below(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// inModule returns an import path as a path in the module, and whether it is one.
func inModule(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// layerOf returns the part of the module that a path in it belongs to, and whether it belongs to any.
func layerOf(path string) (string, bool) {
	best, ok := "", path == ""
	for layer := range layers {
		if layer != "" && below(path, layer) && len(layer) > len(best) {
			best, ok = layer, true
		}
	}
	return best, ok
}

// offences says what about a package's imports breaks a rule.
func offences(p listed) (out []string) {
	path, ok := inModule(p.ImportPath)
	if !ok {
		return []string{p.ImportPath + " is not of this module"}
	}
	layer, ok := layerOf(path)
	if !ok {
		return []string{p.ImportPath + " belongs to no part of the module: add it to layers"}
	}
	imports := p.Imports
	if layer == "ring" || layer == "node/store" { // pure: their tests need nothing else either
		imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
	}
	for _, i := range imports {
		other, ok := inModule(i)
		if !ok {
			continue
		}
		if to, known := layerOf(other); !known || to != layer && !slices.Contains(layers[layer], to) {
			out = append(out, p.ImportPath+" imports "+i)
		}
	}
	for _, f := range fenced {
		if slices.ContainsFunc(f.within, func(folder string) bool { return below(path, folder) }) {
			continue
		}
		used := p.Imports
		if slices.Contains(f.within, "cmd") { // not even through another package
			used = slices.Concat(p.Imports, p.Deps)
		}
		if i := slices.IndexFunc(used, func(i string) bool { return strings.HasPrefix(i, f.library) }); i >= 0 {
			out = append(out, p.ImportPath+" depends on "+used[i])
		}
	}
	return out
}

// TestImports holds every package of the module to the direction of imports:
// cmd, examples -> strategy -> node -> {ring, node/store, transport}, and transport -> node/store.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-buildvcs=false", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("output of go list: %v", err)
		}
		path, _ := inModule(p.ImportPath)
		layer, _ := layerOf(path)
		seen[layer] = true
		for _, o := range offences(p) {
			t.Error(o)
		}
	}
	for _, layer := range []string{"", "ring", "node/store", "node", "transport", "strategy", "cmd"} {
		if !seen[layer] {
			t.Errorf("no package in %q: the rules are about folders that are not there", layer)
		}
	}
}

// TestImportRules shows that the rules see what they forbid.
func TestImportRules(t *testing.T) {
	at := func(path string, imports ...string) listed {
		for i, x := range imports {
			if !strings.Contains(x, ".") {
				imports[i] = module + "/" + x
			}
		}
		return listed{ImportPath: module + "/" + path, Imports: imports}
	}
	for _, c := range []struct {
		p    listed
		want bool
	}{
		{at("cmd/huddle", "strategy", "node", "github.com/alecthomas/kong", "github.com/prometheus/client_golang/prometheus"), true},
		{at("strategy/strategytest", "strategy", "node"), true},
		{at("node", "node/protocol", "node/store", "ring", "transport/peerpb"), true},
		{at("transport/resp", "github.com/tidwall/redcon"), true},
		{at("transport", "node/store", "transport/peerpb"), true},
		{at("ring", "node/store"), false},
		{at("node/store", "ring"), false},
		{at("transport/gossip", "node"), false},
		{at("transport/resp", "node"), false},
		{at("transport", "node/protocol"), false},
		{at("node", "strategy"), false},
		{at("strategy", "cmd/internal/app"), false},
		{at("node", "github.com/prometheus/client_golang/prometheus"), false},
		{at("strategy", "github.com/alecthomas/kong"), false},
		{at("cmd/internal/app", "github.com/tidwall/redcon"), false},
		{at("elsewhere"), false},
		{listed{ImportPath: module + "/ring", XTestImports: []string{module + "/node"}}, false},
		{listed{ImportPath: module + "/node", Deps: []string{"github.com/alecthomas/kong"}}, false},
	} {
		if got := offences(c.p); (len(got) == 0) != c.want {
			t.Errorf("%s with %v: offences %v", c.p.ImportPath, c.p.Imports, got)
		}
	}
}
