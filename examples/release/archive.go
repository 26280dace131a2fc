package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// member is a file in an archive.
type member struct {
	name string
	mode int64
	data []byte
}

// writeTarGz writes members under a folder so that the same members give the
// same bytes: sorted, of one time, owned by nobody in particular.
func writeTarGz(w io.Writer, folder string, members []member, t time.Time) error {
	gz, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(gz)
	members = slices.SortedFunc(slices.Values(members), func(a, b member) int { return strings.Compare(a.name, b.name) })
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(folder, m.name), Mode: m.mode, Size: int64(len(m.data)), ModTime: t, Format: tar.FormatPAX}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := tw.Write(m.data); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return gz.Close()
}
