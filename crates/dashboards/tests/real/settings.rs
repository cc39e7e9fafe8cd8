//! What the programs are told. `DIR` is a directory of the run, `REDIS`, `ISSUER`, `ENVOY`, `NOBODY` and ports are filled in.

/// Two an hour, so that the third is refused; and many, so that the store is asked each time.
pub(crate) const LIMITS: &str = "
domain: edge
descriptors:
- key: generic_key
  value: limited
  rate_limit: {unit: hour, requests_per_unit: 2}
- key: generic_key
  value: counted
  rate_limit: {unit: hour, requests_per_unit: 1000000}
";

pub(crate) const LIMITER: &str = "
http: {address: '127.0.0.1:0'}
rules: {files: ['DIR/limits.yaml']}
store: {redis: {server: {address: 'REDIS'}, deadline: 5s}}
";

/// One that a controller tells what to limit.
pub(crate) const TOLD_LIMITER: &str = "
http: {address: '127.0.0.1:0'}
rules: {xds: {address: 'unix:DIR/run/ratelimit.sock'}}
store: {memory: {}}
";

/// Bodies are cut early, and a stricter profile looks on.
pub(crate) const PROFILE: &str = "
name: edge
mode: block
requestBody: {limit: 1024, overLimit: partial}
shadow: strict
";

/// One request is judged at a time and one waits: those of a crowd are not judged.
pub(crate) const FIREWALL: &str = "
engine: {deadline: 20s, threads: 1, maxWaiting: 1}
profiles: [{path: 'DIR/profiles'}]
defaultProfile: edge
audit: {file: {path: 'DIR/audit.log'}}
";

/// Tokens are always due: the time before their end is longer than their life.
pub(crate) const LOGINS: &str = "
http: {address: '127.0.0.1:0'}
defaultProfile: web
profiles: {web: {providers: [main], upstream: {accessToken: true}}}
providers: {main: {issuer: 'ISSUER', clientId: edge, clientSecret: s3cret, insecure: true}}
sessions: {refreshAhead: 1h, store: {redis: {server: {address: 'REDIS'}, deadline: 5s}}}
keys: ['DIR/key']
";

/// One of the Envoys that it asks is nobody, and there is room for connections of one kind.
pub(crate) const EXPORTER: &str = "
grpc: {address: 'unix:DIR/log.sock'}
envoys: {stats: ['http://ENVOY/stats', 'http://NOBODY/stats'], interval: 1s}
caps: {connections: 1}
events: {file: {path: 'DIR/events.log'}}
";

pub(crate) const CONTROLLER: &str = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: ['DIR/resources']}}
    infrastructure: {type: Host, host: {runtimeDir: 'DIR/run'}}
admin: {address: {host: 127.0.0.1, port: 0}}
rateLimit: {service: {host: 127.0.0.1, port: 1}}
";

/// The same for a cluster.
pub(crate) const CLUSTER_CONTROLLER: &str = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
provider:
  type: Kubernetes
  kubernetes: {listen: {health: '127.0.0.1:0', metrics: '127.0.0.1:0'}}
admin: {address: {host: 127.0.0.1, port: 0}}
";

/// A Gateway of which Envoy cannot have one port, and a route that refers to nothing that there is and has a limit.
pub(crate) const RESOURCES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: edge}
spec:
  gatewayClassName: eg
  listeners:
  - {name: http, protocol: HTTP, port: PORT}
  - {name: taken, protocol: HTTP, port: TAKEN}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lost, namespace: edge}
spec: {parentRefs: [{name: eg}], rules: [{backendRefs: [{name: nothing, port: 80}]}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: limits, namespace: edge}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: lost}]
  rateLimit: {type: Global, global: {rules: [{limit: {requests: 3, unit: Hour}}]}}
";

/// Objects of a cluster: a Gateway without a node to run it.
pub(crate) const OBJECTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: default}
spec: {gatewayClassName: eg, listeners: [{name: http, protocol: HTTP, port: 80}]}
";
