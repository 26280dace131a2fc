//go:build !unix

package verify

const openNonblock = 0
