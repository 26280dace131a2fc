//go:build !unix

package sigstorediff

import "time"

func processorTime() time.Duration { return 0 }
