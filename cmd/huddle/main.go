// Command huddle runs a node of a session cache that its members keep together, and speaks to running nodes.
package main

import (
	"os"

	"github.com/huddle-cache/huddle/cmd/internal/command"
)

func main() {
	os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
