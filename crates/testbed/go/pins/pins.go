// Package pins keeps modules in go.mod of which more than a program is used.
package pins

import (
	_ "sigs.k8s.io/gateway-api/conformance" // its tests are a program of their own
	_ "sigs.k8s.io/gateway-api/pkg/consts"  // its resource definitions
)
