//go:build !race

package nonblock

const ordinary = false
