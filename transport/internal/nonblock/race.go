//go:build race

package nonblock

// ordinary makes all calls ordinary ones: these tell the race detector that what is read comes after what was written.
const ordinary = true
