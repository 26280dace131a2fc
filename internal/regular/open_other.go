//go:build !unix

package regular

const nonBlock = 0 // no FIFOs in directories
