package scan

import (
	"bytes"

	"github.com/pelletier/go-toml/v2"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// decodeTOML decodes a document into v. The parser recurses, so how deep the
// document nests is checked before.
func decodeTOML(data []byte, v any) error {
	if err := checkTOML(data); err != nil {
		return err
	}
	return toml.Unmarshal(bytes.TrimPrefix(data, bom), v)
}

// checkTOML bounds depth and number of values. It needs to know strings and
// comments only.
func checkTOML(data []byte) error {
	depth, nodes := 0, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '#':
			if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
				i += n
			} else {
				return nil
			}
		case '"', '\'':
			quote := data[i : i+1]
			if bytes.HasPrefix(data[i:], bytes.Repeat(quote, 3)) {
				quote = data[i : i+3]
			}
			i += len(quote)
			for ; i < len(data); i++ {
				if data[i] == '\\' && c == '"' {
					i++
				} else if data[i] == '\n' && len(quote) == 1 {
					break // unterminated; the parser says so
				} else if bytes.HasPrefix(data[i:], quote) {
					i += len(quote) - 1
					break
				}
			}
		case '[', '{':
			if depth++; depth > limits.ScanDepth {
				return limitf("nested deeper than %d", limits.ScanDepth)
			}
			nodes++
		case ']', '}':
			depth--
		case '=', ',', '.':
			// Dots make tables in tables, one for each.
			nodes++
		}
		if nodes > limits.ScanNodes {
			return limitf("more than %d values", limits.ScanNodes)
		}
	}
	return nil
}
