package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
)

func TestMain(m *testing.M) {
	sigstack.Main() // in a child, this serves and does not return
	code := m.Run()
	if stackStarted() {
		if s, err := theStack(); err == nil {
			if err := s.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = max(code, 1)
			}
		}
	}
	os.Exit(code)
}
