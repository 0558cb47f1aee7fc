package command

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/huddle-cache/huddle/cmd/internal/app"
)

// usable is what serve has been told when nothing was.
func usable() serveCmd {
	return serveCmd{
		Listen: "127.0.0.1:0", Cluster: "huddle", Resp: "off", Admin: "off", Replicas: 2, MaxMemory: 256 << 20, RepairRate: 64 << 20,
		Delete: "remove", WhenUnsure: "wait", Lease: time.Second, ForgetAfter: time.Minute, Profile: "lan", LeaveTimeout: time.Second,
	}
}

// --forget-after 0 is never, and what cannot be meant is refused.
func TestFlagsThatMeanSomethingElse(t *testing.T) {
	c := usable()
	c.ForgetAfter = 0
	if cfg, err := c.config(io.Discard); err != nil || cfg.Node.ForgetAfter >= 0 {
		t.Errorf("--forget-after 0: %v, %v", cfg.Node.ForgetAfter, err)
	}
	for what, change := range map[string]func(*serveCmd){
		"--lease 0": func(c *serveCmd) { c.Lease = 0 }, "--leave-timeout -1s": func(c *serveCmd) { c.LeaveTimeout = -time.Second },
		"--revoke-prefix alone": func(c *serveCmd) { c.RevokePrefix = []string{"sess:"} },
	} {
		c := usable()
		change(&c)
		var usage *app.UsageError
		if _, err := c.config(io.Discard); !errors.As(err, &usage) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The table of README names the flags there are, and all of them.
func TestTheTableOfFlags(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "### Flags of serve")
	table, _, _ = strings.Cut(table, "\n## ")
	var named []string
	for line := range strings.Lines(table) {
		if flags, _, isRow := strings.Cut(strings.TrimPrefix(line, "|"), "|"); isRow && strings.HasPrefix(line, "| `--") {
			for _, flag := range regexp.MustCompile("`--([a-z-]+)`").FindAllStringSubmatch(flags, -1) {
				named = append(named, flag[1])
			}
		}
	}
	var c serveCmd
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, flag := range parser.Model.Flags {
		if flag.Name != "help" {
			there = append(there, flag.Name)
		}
	}
	slices.Sort(named)
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("README has the flags\n%q, there are\n%q", named, there)
	}
}
