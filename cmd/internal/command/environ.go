package command

import (
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ofKubernetes matches what Kubernetes tells its containers of a service named huddle, or huddle-something.
var ofKubernetes = regexp.MustCompile(`^HUDDLE_(PORT|SERVICE_|.*_SERVICE_(HOST|PORT)|.*_PORT(_[0-9]+_|$))`)

// onlyShared takes their variables from the flags that are not for the environment. The flags of serve are, and of the other commands those
// that say which node is spoken to and how it is answered: elsewhere one name means different things, and --yes or --revoke must be said.
func onlyShared() kong.Option {
	shared := []string{"admin", "admin-token-file", "json"}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			if n.Name != "serve" && !slices.Contains(shared, f.Name) {
				f.Envs, f.Tag.Envs = nil, nil
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	return kong.PostBuild(func(k *kong.Kong) error {
		walk(k.Model.Node)
		return nil
	})
}

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
