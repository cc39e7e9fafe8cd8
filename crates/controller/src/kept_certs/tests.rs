use super::*;

fn wish() -> Wish {
    Wish { namespace: "ns".to_owned(), names: vec!["10.0.0.7".to_owned()], days: 90, force: false }
}

fn made(name: &str, wanted: Wanted) -> Secret {
    match wanted {
        Wanted::Write(issued, authorities) => secret(name, None, &issued, authorities),
        Wanted::Stay(_, why) => panic!("{why}"),
    }
}

fn stays(wanted: Result<Wanted, authority::Error>) -> bool {
    matches!(wanted.unwrap(), Wanted::Stay(..))
}

fn server_wanted(there: Option<&Secret>, authority: &Authority, wish: &Wish) -> Result<Wanted, authority::Error> {
    let [(_, names, holder), ..] = leaves(wish);
    leaf_wanted(there, authority, wish, &names, holder)
}

/// An authority's Secret, the authority, and a server's Secret by it.
fn all() -> (Secret, Authority, Secret) {
    let own = made(AUTHORITY, authority_wanted(None, &wish()).unwrap());
    let authority = Authority::of(&issued(&own)).unwrap();
    let server = made(NAME, server_wanted(None, &authority, &wish()).unwrap());
    (own, authority, server)
}

#[test]
fn what_is_valid_stays_unless_it_is_forced() {
    let (own, authority, server) = all();
    assert!(stays(authority_wanted(Some(&own), &wish())));
    assert!(stays(server_wanted(Some(&server), &authority, &wish())));
    let force = Wish { force: true, ..wish() };
    assert!(!stays(authority_wanted(Some(&own), &force)));
    assert!(!stays(server_wanted(Some(&server), &authority, &force)));
}

#[test]
fn a_certificate_near_its_end_is_renewed() {
    let (_, authority, _) = all();
    let [(_, names, _), ..] = leaves(&wish());
    let mut renewed = Vec::new();
    for days in [29, 31] {
        let issued = authority.issue(Holder::Server(&names), days).unwrap();
        let server = secret(NAME, None, &issued, Some(authority.certificate().to_owned()));
        renewed.push(!stays(server_wanted(Some(&server), &authority, &wish())));
    }
    assert_eq!(renewed, [true, false]);
}

#[test]
fn an_authority_is_replaced_only_when_it_has_ended() {
    let kept = |days: u16| {
        let (_, own) = Authority::make(days).unwrap();
        authority_wanted(Some(&secret(AUTHORITY, None, &own, None)), &wish())
    };
    assert!(!stays(kept(0)));
    let Wanted::Stay(_, why) = kept(30).unwrap() else { panic!("it is replaced") };
    assert!(why.contains("--force"), "{why}");
}

#[test]
fn another_authority_or_name_is_another_certificate() {
    let (_, authority, server) = all();
    let (_, other, _) = all();
    assert!(!stays(server_wanted(Some(&server), &other, &wish())));
    let wish = Wish { names: vec!["gateway.example".to_owned()], ..wish() };
    assert!(!stays(server_wanted(Some(&server), &authority, &wish)));
}

#[test]
fn what_others_have_made_is_theirs() {
    let (mut own, authority, mut server) = all();
    for secret in [&mut own, &mut server] {
        secret.metadata.labels = None;
        secret.type_ = Some("Opaque".to_owned());
    }
    server.data = None;
    assert!(stays(authority_wanted(Some(&own), &wish())));
    assert!(stays(server_wanted(Some(&server), &authority, &wish())));
    let forced = Wish { force: true, ..wish() };
    let Wanted::Write(issued, authorities) = server_wanted(Some(&server), &authority, &forced).unwrap() else {
        panic!("it stays")
    };
    let replaced = secret(NAME, Some(&server), &issued, authorities);
    assert_eq!(replaced.type_.as_deref(), Some("Opaque"));
    assert!(is_ours(&replaced));
}

#[test]
fn a_server_has_the_names_of_its_service() {
    let (_, _, server) = all();
    let leaf = Leaf::of(&text(&server, "tls.crt")).unwrap();
    let names = ["portcullis", "envoy-gateway", "envoy-gateway.ns", "envoy-gateway.ns.svc", "10.0.0.7"];
    assert!(leaf.has_names(&names.map(str::to_owned)));
    assert!(leaf.has_names(&["envoy-gateway.ns.svc.cluster.local".to_owned()]));
    assert!(!leaf.has_names(&["elsewhere".to_owned()]));
}

#[test]
fn the_rate_limit_service_may_ask_and_serve() {
    let (_, authority, _) = all();
    let [_, (name, names, holder), ..] = leaves(&wish());
    assert_eq!(name, "envoy-rate-limit");
    let secret = made(name, leaf_wanted(None, &authority, &wish(), &names, holder).unwrap());
    assert!(stays(leaf_wanted(Some(&secret), &authority, &wish(), &names, holder)));
    let leaf = Leaf::of(&text(&secret, "tls.crt")).unwrap();
    assert!(leaf.has_names(&["envoy-ratelimit", "envoy-ratelimit.ns.svc"].map(str::to_owned)));
    assert!(!leaf.has_names(&["10.0.0.7".to_owned()]), "that is the server's");
    let (_, pem) = x509_parser::pem::parse_x509_pem(text(&secret, "tls.crt").as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && usage.server_auth);
}
