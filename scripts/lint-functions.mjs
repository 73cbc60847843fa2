// An oxlint plugin, because the rule func-style cannot be limited to the top level.

/** A constant with a type of its own is exempt, because the type is its contract. @param {any} declaration */
function isArrow({ id, init }) {
  return init?.type === "ArrowFunctionExpression" && id.typeAnnotation == null;
}

const topLevelDeclaration = {
  meta: { type: "suggestion" },
  create: (/** @type {any} */ context) => ({
    Program(/** @type {any} */ { body }) {
      for (const statement of body) {
        const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
        for (const node of declaration?.type === "VariableDeclaration"
          ? declaration.declarations.filter(isArrow)
          : []) {
          context.report({ node, message: `Write ${node.id.name} as a function declaration.` });
        }
      }
    },
  }),
};

export default { meta: { name: "functions" }, rules: { "top-level-declaration": topLevelDeclaration } };
