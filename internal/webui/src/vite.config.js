import { defineConfig } from 'vite';

// One script and one style sheet under fixed names: the agent embeds them and
// serves them under addresses of their content's hash. Nothing in them depends
// on the machine or the moment, so that anybody's build gives the same bytes.
export default defineConfig({
	esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
	define: { 'process.env.NODE_ENV': '"production"' },
	build: {
		outDir: '../bundle',
		emptyOutDir: true,
		target: 'es2022',
		sourcemap: false,
		cssCodeSplit: false,
		modulePreload: false,
		assetsInlineLimit: 1 << 24,
		rollupOptions: {
			input: 'main.jsx',
			output: {
				inlineDynamicImports: true,
				entryFileNames: 'form.js',
				assetFileNames: (a) => (a.names?.[0]?.endsWith('.css') ? 'form.css' : '[name][extname]'),
			},
		},
	},
});
