//! A linked module, as far as splitting needs to know it.

use std::collections::BTreeMap;

use wasmparser::{
    CompositeInnerType, Data, Element, Export, FuncType, FunctionBody, Global, Import, KnownCustom,
    MemoryType, Name, NameSectionReader, Parser, Payload, Table, TypeRef,
};

/// The sections of a module.
#[derive(Default)]
pub struct Program<'a> {
    pub types: Vec<FuncType>,
    /// Functions only: nothing else is imported.
    pub imports: Vec<Import<'a>>,
    /// The type of each function, the imported ones first.
    pub function_types: Vec<u32>,
    pub tables: Vec<Table<'a>>,
    pub memories: Vec<MemoryType>,
    pub globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    pub start: Option<u32>,
    pub elements: Vec<Element<'a>>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Vec<Data<'a>>,
    /// The functions' names, by index.
    pub names: BTreeMap<u32, &'a str>,
}

impl<'a> Program<'a> {
    /// Reads a module. Fails for what a linked module of the engine does not have.
    pub fn read(module: &'a [u8]) -> Result<Self, String> {
        let mut program = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            program
                .take(payload.map_err(text)?)
                .map_err(|error| format!("the module: {error}"))?;
        }
        Ok(program)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), String> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for of_group in group.map_err(text)?.into_types() {
                        let CompositeInnerType::Func(of_group) = of_group.composite_type.inner
                        else {
                            return Err("a type that is no function's".to_owned());
                        };
                        self.types.push(of_group);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(text)?;
                    let TypeRef::Func(kind) = import.ty else {
                        return Err(format!("an import that is no function: {}", import.name));
                    };
                    self.function_types.push(kind);
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(section) => extend(&mut self.function_types, section)?,
            Payload::TableSection(section) => extend(&mut self.tables, section)?,
            Payload::MemorySection(section) => extend(&mut self.memories, section)?,
            Payload::GlobalSection(section) => extend(&mut self.globals, section)?,
            Payload::ExportSection(section) => extend(&mut self.exports, section)?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => extend(&mut self.elements, section)?,
            Payload::DataSection(section) => extend(&mut self.data, section)?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.read_names(names)?;
                }
            }
            Payload::Version { .. }
            | Payload::DataCountSection { .. }
            | Payload::CodeSectionStart { .. }
            | Payload::End(_) => {}
            other => return Err(format!("a section that is not known here: {other:?}")),
        }
        Ok(())
    }

    fn read_names(&mut self, sections: NameSectionReader<'a>) -> Result<(), String> {
        for section in sections {
            if let Name::Function(names) = section.map_err(text)? {
                for name in names {
                    let name = name.map_err(text)?;
                    self.names.insert(name.index, name.name);
                }
            }
        }
        Ok(())
    }

    /// Returns the number of imported functions, which is the index of the first own one.
    pub fn imported(&self) -> usize {
        self.imports.len()
    }
}

fn extend<T>(
    list: &mut Vec<T>,
    section: impl IntoIterator<Item = wasmparser::Result<T>>,
) -> Result<(), String> {
    for item in section {
        list.push(item.map_err(text)?);
    }
    Ok(())
}

fn text(error: wasmparser::BinaryReaderError) -> String {
    error.to_string()
}
