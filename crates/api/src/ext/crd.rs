//! The CRDs of the extension resources, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceSubresourceStatus, CustomResourceSubresources, CustomResourceValidation,
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{Backend, BackendTrafficPolicy, EnvoyExtensionPolicy, EnvoyProxy, GROUP, HttpRouteFilter, SecurityPolicy};

/// Makes a CRD.
type Make = fn() -> CustomResourceDefinition;

/// How each kind's CRD is made, by kind.
const CRDS: [(&str, Make); 6] = [
    ("Backend", Backend::crd),
    ("BackendTrafficPolicy", BackendTrafficPolicy::crd),
    ("EnvoyExtensionPolicy", EnvoyExtensionPolicy::crd),
    ("EnvoyProxy", EnvoyProxy::crd),
    ("HTTPRouteFilter", HttpRouteFilter::crd),
    ("SecurityPolicy", SecurityPolicy::crd),
];

/// The CRDs of all extension resources, by kind.
pub fn crds() -> Vec<CustomResourceDefinition> {
    CRDS.into_iter().map(|(_, make)| finish(make())).collect()
}

/// The CRD of one extension resource.
pub fn crd(group: &str, kind: &str) -> Option<CustomResourceDefinition> {
    let (_, make) = CRDS.into_iter().find(|(name, _)| group == GROUP && *name == kind)?;
    Some(finish(make()))
}

/// Adds what derivation cannot know, and takes out what a hand-written CRD would not have.
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let has_status = crate::Kind::find(&crd.spec.group, &crd.spec.names.kind).is_some_and(|kind| kind.status);
    for version in &mut crd.spec.versions {
        let Some(CustomResourceValidation { open_api_v3_schema: Some(root) }) = &mut version.schema else { continue };
        every_schema(root, &mut |schema| {
            // An explicit null is dropped before it's defaulted, as in every CRD of Go types.
            schema.nullable = None;
            if let Some(values) = &mut schema.enum_ {
                values.retain(|value| !value.0.is_null());
            }
            if schema.default.as_ref().is_some_and(|default| default.0.is_null()) {
                schema.default = None;
            }
        });
        if has_status {
            let status = JSONSchemaProps {
                description: Some("What became of the resource, written by the controller.".to_owned()),
                type_: Some("object".to_owned()),
                x_kubernetes_preserve_unknown_fields: Some(true),
                ..JSONSchemaProps::default()
            };
            root.properties.get_or_insert_default().insert("status".to_owned(), status);
            let subresources = CustomResourceSubresources {
                status: Some(CustomResourceSubresourceStatus(serde_json::json!({}))),
                ..CustomResourceSubresources::default()
            };
            version.subresources = Some(subresources);
        }
    }
    crd
}

fn every_schema(schema: &mut JSONSchemaProps, visit: &mut impl FnMut(&mut JSONSchemaProps)) {
    visit(schema);
    schema.properties.iter_mut().flatten().for_each(|(_, property)| every_schema(property, visit));
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        every_schema(item, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        every_schema(value, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crd_has_what_derivation_cannot_know() {
        for crd in crds() {
            let text = serde_json::to_string(&crd).unwrap();
            assert!(!text.contains("nullable"), "{text}");
            // The API server's client refuses it.
            assert!(!text.contains("null]"), "{text}");
            let status = crd.spec.names.kind != "HTTPRouteFilter";
            assert_eq!(crd.spec.versions[0].subresources.is_some(), status, "{}", crd.spec.names.kind);
            assert_eq!(super::crd(GROUP, &crd.spec.names.kind), Some(crd));
        }
    }
}
