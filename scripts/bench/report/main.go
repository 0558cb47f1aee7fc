// Command report makes a table, plots and results.json of what scripts/bench.sh has measured.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	raw := flag.String("raw", "", "folder with what was measured")
	out := flag.String("out", ".", "folder that is written to")
	command := flag.String("command", "", "the command that measured it")
	versions := flag.String("versions", "", "versions of the others")
	busy := flag.Float64("load", 0, "load average before the measurement")
	flag.Parse()
	r, err := read(*raw)
	if err == nil {
		r.Command, r.Versions, r.LoadBefore = strings.TrimSpace(*command), *versions, *busy
		err = r.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	fmt.Print(r.markdown())
}
