//go:build !race

package scenario

// raced: this test binary was built with the race detector.
const raced = false
