// Package hallmark is documentation only; import its rooms.
package hallmark
