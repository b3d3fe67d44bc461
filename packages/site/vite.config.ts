import { reactRouter } from '@react-router/dev/vite';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [reactRouter()],
  worker: { format: 'es' },
  build: { manifest: true, target: 'es2024', assetsInlineLimit: 0 },
});
