//go:build !linux

package sigstack

import "syscall"

// dieWithParent does nothing: the end of standard input has to do.
func dieWithParent() *syscall.SysProcAttr { return nil }
