package term

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Live prints lines that scroll by above a block that is redrawn in place. On what is no terminal the block is never
// drawn. Its methods are safe for concurrent use.
type Live struct {
	mu    sync.Mutex
	out   io.Writer
	tty   bool
	block []string // as it stands on the screen
}

// NewLive returns a Live on out.
func NewLive(out io.Writer) *Live { return &Live{out: out, tty: IsTerminal(out)} }

// Terminal tells whether the block is drawn.
func (l *Live) Terminal() bool { return l.tty }

// Println prints one line above the block.
func (l *Live) Println(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tty {
		fmt.Fprintln(l.out, line)
		return
	}
	var b strings.Builder
	l.wipe(&b)
	b.WriteString(line + "\r\n")
	l.draw(&b, l.block)
	_, _ = io.WriteString(l.out, b.String())
}

// Block replaces the block by lines, cut to the width of the terminal.
func (l *Live) Block(lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tty {
		return
	}
	width, height := Size(l.out)
	if len(lines) > height-2 {
		lines = lines[:max(0, height-2)]
	}
	cut := make([]string, len(lines))
	for i, line := range lines {
		cut[i] = Truncate(line, width-1)
	}
	var b strings.Builder
	l.wipe(&b)
	l.draw(&b, cut)
	l.block = cut
	_, _ = io.WriteString(l.out, b.String())
}

// Close shows the cursor again. The block stays on the screen.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tty {
		_, _ = io.WriteString(l.out, "\x1b[?25h")
	}
	l.block = nil
}

func (l *Live) wipe(b *strings.Builder) {
	b.WriteString("\x1b[?25l")
	if n := len(l.block); n > 0 {
		fmt.Fprintf(b, "\x1b[%dA", n)
	}
	b.WriteString("\r\x1b[J")
}

func (l *Live) draw(b *strings.Builder, lines []string) {
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
}

// Width is the width of the terminal in columns.
func (l *Live) Width() int {
	width, _ := Size(l.out)
	return width
}
