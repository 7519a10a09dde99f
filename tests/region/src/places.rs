//! The places and people of the demonstration region: real areas of Guangxi by their GB/T 2260 codes, invented halls and
//! staff numbers. Clerks are numbers with a surname; nobody here exists.

/// An area: code, name, parent, level.
pub struct Area {
    /// GB/T 2260 code.
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The code of the area it belongs to.
    pub parent: Option<&'static str>,
    /// `region`, `city` or `county`.
    pub level: &'static str,
}

/// One region, two cities, three counties.
pub const AREAS: [Area; 6] = [
    Area { code: "450000", name: "广西壮族自治区", parent: None, level: "region" },
    Area { code: "450100", name: "南宁市", parent: Some("450000"), level: "city" },
    Area { code: "450200", name: "柳州市", parent: Some("450000"), level: "city" },
    Area { code: "450102", name: "兴宁区", parent: Some("450100"), level: "county" },
    Area { code: "450103", name: "青秀区", parent: Some("450100"), level: "county" },
    Area { code: "450203", name: "鱼峰区", parent: Some("450200"), level: "county" },
];

/// The halls, by id and name; the county is the id's first six digits.
pub const HALLS: [(&str, &str); 4] = [
    ("450103-01", "青秀区政务服务中心"),
    ("450103-02", "青秀区政务服务中心凤岭分厅"),
    ("450102-01", "兴宁区政务服务中心"),
    ("450203-01", "鱼峰区政务服务中心"),
];

/// Businesses with the letter of their tickets and the department whose clerks handle them.
pub const BUSINESSES: [(&str, &str, &str); 4] = [
    ("社保", "A", "人力资源和社会保障局"),
    ("不动产", "B", "自然资源局"),
    ("公安户政", "C", "公安局"),
    ("市场监管", "D", "市场监督管理局"),
];

/// The window's name for the business it mainly serves.
pub fn window_name(business: &str) -> String {
    format!("{business}窗口")
}

/// A surname for the `n`th clerk; halls write 王老师 rather than a full name on a public screen.
pub fn clerk_name(n: usize) -> String {
    const SURNAMES: [&str; 20] = [
        "李", "王", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "韦", "覃",
        "蒙", "陆", "农",
    ];
    format!("{}老师", SURNAMES[n % SURNAMES.len()])
}
