//! `GET /v1/products/{id}/stock`: the published figures, which are durable.

use super::auth::Scope;
use super::conditional;
use super::problem::Problem;
use super::render::Json;
use super::reply::Reply;
use super::worker::Call;

/// The figures of a product.
///
/// # Errors
/// No such product.
pub(super) fn show(call: &Call<'_>, id: &str) -> Result<Reply, Problem> {
    call.admit_plain(Scope::Read)?;
    let entry = call.worker.engine().product(id).ok_or_else(|| Problem::unknown_product(id))?;
    let view = entry.view();
    let tag = conditional::stock_tag(view.version.get());
    if conditional::is_known(call.headers(), &tag) {
        return Ok(Reply::not_modified(tag));
    }
    let figures = view.figures;
    let body = Json::whole(192, |fields| {
        fields.plain("product_id", entry.id().as_str());
        fields.number("available", view.available());
        fields.number("stock", figures.stock);
        fields.number("held", figures.held);
        fields.number("sold", figures.sold);
        fields.signed("unsold", figures.unsold());
        fields.number("version", view.version.get());
    });
    Ok(Reply::ok(body).with_etag(tag))
}
