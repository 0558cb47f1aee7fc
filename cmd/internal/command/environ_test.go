package command

import (
	"slices"
	"testing"

	"github.com/alecthomas/kong"
)

// What is mistyped is told from variables of any command's flags, and from those that Kubernetes sets.
func TestStrayVariables(t *testing.T) {
	var g grammar
	parser, err := kong.New(&g, kong.DefaultEnvars("HUDDLE"))
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"PATH=/bin", "HUDDLE_MAX_MEMROY=1GB", "HUDDLE_MAX_MEMORY=1GB", "HUDDLE_ADMIN_TOKEN_FILE=t", "HUDDLE_TLS_CERT=c", "HUDDLE_CALLERS=1",
		"HUDDLE_LISTENS=secret", "HUDDLE_PORT=tcp://10.0.0.1:7379", "HUDDLE_PORT_7379_TCP_ADDR=10.0.0.1", "HUDDLE_SERVICE_HOST=10.0.0.1",
		"HUDDLE_SERVICE_PORT_REDIS=7379", "HUDDLE_PEERS_SERVICE_HOST=10.0.0.2", "HUDDLE_PEERS_PORT=tcp://10.0.0.2:7400", "HUDDLE_PEERS_PORT_7400_TCP=x",
	}
	if got := strayVariables(environ, parser.Model.Node); !slices.Equal(got, []string{"HUDDLE_LISTENS", "HUDDLE_MAX_MEMROY"}) {
		t.Errorf("got %q", got)
	}
}
