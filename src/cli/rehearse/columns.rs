//! The columns of a file: what they are called, and where they stand.

/// What the columns are called; an empty name says that there is no such column.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) invoice: String,
    pub(super) product: String,
    pub(super) description: String,
    pub(super) quantity: String,
    pub(super) date: String,
    pub(super) price: String,
    pub(super) customer: String,
}

impl Columns {
    fn names(&self) -> [&String; 7] {
        let Self { invoice, product, description, quantity, date, price, customer } = self;
        [invoice, product, description, quantity, date, price, customer]
    }
}

/// Places of the columns in a record.
pub(super) struct Places {
    pub(super) invoice: usize,
    pub(super) product: usize,
    pub(super) description: Option<usize>,
    pub(super) quantity: usize,
    pub(super) date: usize,
    pub(super) price: usize,
    pub(super) customer: Option<usize>,
}

impl Places {
    /// Where the columns stand under this header.
    ///
    /// # Errors
    /// Columns are missing, with those there are; or one stands there twice.
    pub(super) fn find(header: &[String], columns: &Columns) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|found| found == name);
        let mut missing = Vec::new();
        let mut needed = |name: &str, flag: &str| {
            place(name).unwrap_or_else(|| {
                missing.push(format!("{name:?} (--column-{flag})"));
                0
            })
        };
        let mut optional = |name: &str, flag: &str| {
            if name.is_empty() { None } else { Some(needed(name, flag)) }
        };
        let description = optional(&columns.description, "description");
        let customer = optional(&columns.customer, "customer");
        let places = Self {
            invoice: needed(&columns.invoice, "invoice"),
            product: needed(&columns.product, "product"),
            description,
            quantity: needed(&columns.quantity, "quantity"),
            date: needed(&columns.date, "date"),
            price: needed(&columns.price, "price"),
            customer,
        };
        let twice = |name: &&String| {
            !name.is_empty() && header.iter().filter(|found| found == name).count() > 1
        };
        if let Some(name) = columns.names().into_iter().find(twice) {
            return Err(format!("it has the column {name:?} twice"));
        }
        if missing.is_empty() {
            return Ok(places);
        }
        let found: Vec<String> = header.iter().map(|name| format!("{name:?}")).collect();
        let (missing, found) = (missing.join(", "), found.join(", "));
        Err(format!("it has no column {missing}; its columns are {found}"))
    }
}
