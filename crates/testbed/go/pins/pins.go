// Package pins keeps modules in go.mod of which only files are used.
package pins

import _ "sigs.k8s.io/gateway-api/pkg/consts" // its resource definitions
