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
	stolen := flag.Float64("stolen", 0, "share of the processors' time that the machine's host gave to others meanwhile")
	rounds := flag.Int("rounds", 1, "how often it was measured")
	flag.Parse()
	r, err := read(*raw, *rounds)
	if err == nil {
		r.Command, r.Versions, r.LoadBefore, r.Stolen = strings.TrimSpace(*command), *versions, *busy, *stolen
		err = r.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	fmt.Print(r.markdown())
}
