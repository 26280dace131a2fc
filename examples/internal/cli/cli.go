// Package cli is what the example programs share: colours on a terminal only,
// a line of progress while something takes long, and exit codes.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The exit codes of all example programs.
const (
	OK      = 0 // it holds
	Refused = 1 // it was judged, and refused
	Cannot  = 2 // it could not be judged: wrong usage, bad policy, unreadable input
)

// Context is cancelled by an interrupt.
func Context() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// IsTerminal reports whether a person is reading f.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// Color reports whether to colour what goes to f: a terminal, and NO_COLOR is
// not set (https://no-color.org).
func Color(f *os.File) bool { return IsTerminal(f) && os.Getenv("NO_COLOR") == "" }

// A Paint writes text in a colour, or plainly.
type Paint bool

func (p Paint) sgr(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// The colours.
func (p Paint) Bold(s string) string  { return p.sgr("1", s) }
func (p Paint) Dim(s string) string   { return p.sgr("2", s) }
func (p Paint) Red(s string) string   { return p.sgr("1;31", s) }
func (p Paint) Green(s string) string { return p.sgr("32", s) }

// Fail prints an error and returns the exit code for "cannot judge".
func Fail(name string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return Cannot
}

// Usage prints the usage where it was asked for, or who called wrongly sees it,
// and returns the exit code.
func Usage(args []string, out, err io.Writer, usage string) int {
	if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		fmt.Fprint(out, usage)
		return OK
	}
	fmt.Fprint(err, usage)
	return Cannot
}

// Count writes a number of things: "1 file", "3 files".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Bytes writes a size for people: "8.1 MB".
func Bytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n), -1
	for f >= unit && i < 4 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[i])
}

// Took writes a duration for people: "1.2 s", "85 ms".
func Took(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// A Spinner shows on one line of a terminal what is going on; elsewhere it
// shows nothing.
type Spinner struct {
	w    io.Writer
	stop chan struct{}
	done sync.WaitGroup
	mu   sync.Mutex
	text string
}

// Spin starts a Spinner on f. Stop must be called.
func Spin(f *os.File, text string) *Spinner {
	s := &Spinner{w: f, stop: make(chan struct{}), text: text}
	if !IsTerminal(f) {
		return s
	}
	start := time.Now()
	s.done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-s.stop:
				fmt.Fprint(s.w, "\r\x1b[K")
				return
			case <-tick.C:
				s.mu.Lock()
				text := s.text
				s.mu.Unlock()
				fmt.Fprintf(s.w, "\r\x1b[K  %c %s %s", []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[i%10], text, Took(time.Since(start)))
			}
		}
	})
	return s
}

// Say changes the text.
func (s *Spinner) Say(format string, args ...any) {
	s.mu.Lock()
	s.text = fmt.Sprintf(format, args...)
	s.mu.Unlock()
}

// Stop clears the line.
func (s *Spinner) Stop() {
	close(s.stop)
	s.done.Wait()
}

// Indent puts a prefix before every line.
func Indent(prefix, s string) string {
	s = strings.TrimRight(s, "\n")
	return prefix + strings.ReplaceAll(s, "\n", "\n"+prefix)
}
