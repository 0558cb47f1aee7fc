package fibertest

import (
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/huddle-cache/huddle/strategy"
	"github.com/huddle-cache/huddle/strategy/internal/ownsuite"
)

var _ fiber.Storage = (*strategy.FiberStorage)(nil)

// TestOwnSuite runs the tests of Fiber's session middleware on a cluster of three nodes.
func TestOwnSuite(t *testing.T) {
	ownsuite.Suite{
		Module:   "github.com/gofiber/fiber/v3",
		Replace:  map[string]string{"internal/storage/memory/memory.go": "testdata/memory.go.txt"},
		Packages: []string{"middleware/session"},
		// It gives every session the same ID and expects one that has expired to start over under it, which a storage of
		// sessions refuses (see strategy.WithReusableKeys). IDs are random but for this test.
		Skip:  "^Test_Session_WithConfig$",
		Least: 40,
	}.Run(t)
}
