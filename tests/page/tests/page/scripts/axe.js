// Returns what axe-core finds.
const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] });
const describe = (node) => `${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`;
return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(describe).join(' | ')}`);
