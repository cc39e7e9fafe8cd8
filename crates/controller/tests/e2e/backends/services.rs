//! Services: by their end points, as these come and go, and by their own address.

use std::net::SocketAddr;

use testbed::client::Connection;

use super::*;
use crate::harness::free_port;
use crate::objects::{USES_PROXY, class, gateway_with, http_route, proxy, service, service_with, slice, to_service};

fn route() -> String {
    http_route("r", "{name: gw}", &[], &to_service("s", ""))
}

#[tokio::test]
async fn end_points_that_are_ready_take_the_traffic() -> Result<()> {
    let (a, b, c, port) = (echo("a").await?, echo("b").await?, echo("c").await?, free_port());
    let not_ready = slice("default", "s", 1, b.address(), "ready: false");
    let ending = slice("default", "s", 2, c.address(), "ready: false, serving: true, terminating: true");
    let case =
        Case::start(&[class(), web(port), route(), service_with("default", "s", "{name: p, port: 80}", "")]).await?;
    let request = get("any.org", port);
    answers(&case, &request, 503).await?;
    let ready = slice("default", "s", 0, a.address(), "ready: true");
    case.write("slices", &(ready + &not_ready + &ending))?;
    arrives(&case, &request, "a").await?;
    for _ in 0..30 {
        assert_eq!(request.send().await?.echoed()?.pod, "a");
    }
    // Without one that is ready, those that still serve while they end are better than nothing.
    case.write("slices", &(not_ready.clone() + &ending))?;
    arrives(&case, &request, "c").await?;
    case.write("slices", &not_ready)?;
    answers(&case, &request, 503).await?;
    assert_eq!(b.count(), 0);
    Ok(())
}

#[tokio::test]
async fn end_points_change_without_touching_routes_or_connections() -> Result<()> {
    let (a, b, port) = (echo("a").await?, echo("b").await?, free_port());
    let case =
        Case::start(&[class(), web(port), route(), service_with("default", "s", "{name: p, port: 80}", "")]).await?;
    case.write("slices", &slice("default", "s", 0, a.address(), "ready: true"))?;
    let request = get("any.org", port);
    arrives(&case, &request, "a").await?;
    case.programmed("gw").await?;
    let mut connection = Connection::open(&request).await?;
    assert_eq!(connection.send(&request).await?.echoed()?.pod, "a");
    let updates = async || {
        let names = ["cluster_manager.cds.update_success", "listener_manager.lds.update_success"];
        Ok::<_, anyhow::Error>((stat(&case, names[0]).await?, stat(&case, names[1]).await?))
    };
    let before = updates().await?;
    case.write("slices", &slice("default", "s", 0, b.address(), "ready: true"))?;
    // Over the same connection all the time.
    case.until("answers of b", async || Ok(connection.send(&request).await?.echoed()?.pod == "b")).await?;
    assert_eq!(updates().await?, before);
    Ok(())
}

#[tokio::test]
async fn routing_type_service_goes_to_the_services_address() -> Result<()> {
    let (pod, port) = (echo("pod").await?, free_port());
    let own = SocketAddr::from(([127, 0, 0, 2], 0));
    let address = Echo::http().name("address").bind(own).spawn().await?;
    let number = address.port();
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], USES_PROXY),
        proxy("  routingType: Service\n"),
        http_route("r", "{name: gw}", &[], &format!("{{name: s, port: {number}}}")),
        service_with("default", "s", &format!("{{name: p, port: {number}}}"), ", clusterIP: 127.0.0.2"),
        slice("default", "s", 0, pod.address(), "ready: true"),
    ])
    .await?;
    arrives(&case, &get("any.org", port), "address").await?;
    assert_eq!(pod.count(), 0);
    Ok(())
}

#[tokio::test]
async fn http_route_service_types() -> Result<()> {
    let (a, b, port) = (echo("a").await?, Echo::http().name("b").ipv6().spawn().await?, free_port());
    let case = Case::start(&[
        class(),
        web(port),
        // Headless, and with slices that nobody's selector made.
        http_route("headless", "{name: gw}", &["headless.org"], &to_service("headless", "")),
        service_with("default", "headless", "{name: p, port: 80}", ", clusterIP: None"),
        slice("default", "headless", 0, a.address(), "ready: true"),
        http_route("six", "{name: gw}", &["six.org"], &to_service("six", "")),
        service("default", "six", &[b.address()]),
    ])
    .await?;
    arrives(&case, &get("headless.org", port), "a").await?;
    arrives(&case, &get("six.org", port), "b").await
}

#[tokio::test]
async fn http_route_backend_protocol_h2c_of_a_service() -> Result<()> {
    let (a, port) = (echo("a").await?, free_port());
    let ports = "{name: p, port: 80, appProtocol: kubernetes.io/h2c}";
    let case = Case::start(&[
        class(),
        web(port),
        route(),
        service_with("default", "s", ports, ""),
        slice("default", "s", 0, a.address(), "ready: true"),
    ])
    .await?;
    arrives(&case, &get("any.org", port), "a").await?;
    assert_eq!(get("any.org", port).send().await?.echoed()?.proto, "HTTP/2.0");
    Ok(())
}

/// What an Envoy is told that stands in a zone: the zone itself, and that it has nobody to share load with.
const IN_ZONE_A: &str = "  bootstrap:
    type: Merge
    value: |
      node: {locality: {zone: a}}
      cluster_manager: {local_cluster_name: fleet}
      static_resources:
        clusters:
        - name: fleet
          type: STATIC
          load_assignment:
            cluster_name: fleet
            endpoints:
            - locality: {zone: a}
              lb_endpoints: [{endpoint: {address: {pipe: {path: /run/nobody.sock}}}}]
";

/// A Service with `fields` of its metadata, and a slice for each end point: zone, address and further fields.
fn zoned(fields: &str, spec: &str, endpoints: &[(&str, SocketAddr, &str)]) -> String {
    let slices = endpoints.iter().enumerate().map(|(index, (zone, address, fields))| {
        slice("default", "s", index, *address, "ready: true")
            .replace("{addresses:", &format!("{{zone: {zone}{fields}, addresses:"))
    });
    service_with("default", "s", "{name: p, port: 80}", spec).replace("{name: s,", &format!("{{name: s{fields},"))
        + &slices.collect::<String>()
}

#[tokio::test]
async fn requests_arrive_in_the_envoys_zone() -> Result<()> {
    let (a, b, c, port) = (echo("a").await?, echo("b").await?, echo("c").await?, free_port());
    let (here, there, beyond) = (("a", a.address(), ""), ("b", b.address(), ""), ("c", c.address(), ""));
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], USES_PROXY),
        proxy(IN_ZONE_A),
        route(),
    ])
    .await?;
    let request = get("any.org", port);
    // Where requests arrive from now on: some time after a change all of them do.
    let arrive = async |wanted: &[&str]| {
        case.until(&format!("requests in {wanted:?} only"), async || {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..40 {
                seen.insert(request.send().await?.echoed()?.pod);
            }
            Ok(seen.iter().map(String::as_str).eq(wanted.iter().copied()))
        })
        .await
    };
    let near = ", trafficDistribution: PreferSameZone";
    case.write("s", &zoned("", near, &[here, there, beyond]))?;
    arrive(&["a"]).await?;
    // Others when there is nobody left, and back.
    case.write("s", &zoned("", near, &[there, beyond]))?;
    arrive(&["b", "c"]).await?;
    case.write("s", &zoned("", near, &[here, there, beyond]))?;
    arrive(&["a"]).await?;
    // Nobody asks for it.
    case.write("s", &zoned("", "", &[here, there, beyond]))?;
    arrive(&["a", "b", "c"]).await?;
    // Hints say who is for whom; without them, or with some only, load is spread.
    let auto = ", annotations: {service.kubernetes.io/topology-mode: Auto}";
    let hinted = |zone: &str| format!(", hints: {{forZones: [{{name: {zone}}}]}}");
    let (for_a, for_b) = (hinted("a"), hinted("b"));
    case.write(
        "s",
        &zoned(auto, "", &[("a", a.address(), &for_b), ("b", b.address(), &for_a), ("c", c.address(), &for_a)]),
    )?;
    arrive(&["b", "c"]).await?;
    case.write("s", &zoned(auto, "", &[here, ("b", b.address(), &for_a)]))?;
    arrive(&["a", "b"]).await
}
