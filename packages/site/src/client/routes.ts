import { index, type RouteConfig, route } from '@react-router/dev/routes';

export default [
  index('pages/feed/feed.tsx'),
  route('papers/:slug', 'pages/paper/paper.tsx'),
  route('ledger', 'pages/ledger/ledger.tsx'),
  route('about', 'pages/about/about.tsx'),
  route('*', 'pages/missing.tsx'),
] satisfies RouteConfig;
