package protocol

// now is the time. Steps that take messages or operations read the clock once, at their beginning: what they take was there by then,
// and nothing else happens until they end, so that all of a step may be thought to happen at that instant. A lease that ran then and has
// ended since is as good as with a pause after the step. Reading the clock is a good part of what a small step costs.
func (m *Machine) now() int64 {
	if m.at != 0 {
		return m.at
	}
	return m.env.Now()
}

// beginStep makes what follows, until endStep, a step that reads the clock once; false: it is within one.
func (m *Machine) beginStep() bool {
	if m.at != 0 {
		return false
	}
	m.at = m.env.Now()
	return true
}

func (m *Machine) endStep() { m.at = 0 }
