package strategy_test

import (
	"testing"

	"github.com/huddle-cache/huddle/strategy/internal/ownsuite"
)

// TestSCSOwnSuite runs the tests of scs itself on a cluster of three nodes.
func TestSCSOwnSuite(t *testing.T) {
	ownsuite.Suite{
		Module:   "github.com/alexedwards/scs/v2",
		Replace:  map[string]string{"memstore/memstore.go": "testdata/scs/memstore.go.txt"},
		Packages: []string{"."},
		Least:    20,
	}.Run(t)
}
