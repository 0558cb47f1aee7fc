package command

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ofKubernetes matches what Kubernetes tells its containers of a service named huddle, or huddle-something.
var ofKubernetes = regexp.MustCompile(`^HUDDLE_(PORT|SERVICE_|.*_SERVICE_(HOST|PORT)|.*_PORT(_[0-9]+_|$))`)

// strayVariables names the variables of environ that begin like ours and are those of no flag: mistyped, it may be.
func strayVariables(environ []string, model *kong.Node) []string {
	known := variables(model)
	var out []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "HUDDLE_") && !slices.Contains(known, name) && !ofKubernetes.MatchString(name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// variables are those of the flags of n and of all commands below it.
func variables(n *kong.Node) []string {
	var out []string
	for _, f := range n.Flags {
		out = append(out, f.Envs...)
	}
	for _, child := range n.Children {
		out = append(out, variables(child)...)
	}
	return out
}
