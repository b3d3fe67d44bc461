import { index, type RouteConfig, route } from '@react-router/dev/routes';

export default [
  index('pages/feed/feed.tsx'),
  route('papers/:slug', 'pages/paper/paper.tsx'),
  route('ledger', 'pages/ledger/ledger.tsx'),
  route('speed', 'pages/speed/speed.tsx'),
  route('about', 'pages/about/about.tsx'),
  route('login', 'pages/login/login.tsx'),
  route('login/link', 'pages/login/link.tsx'),
  route('account', 'pages/account/account.tsx'),
  route('account/export', 'pages/account/export.ts'),
  route('notifications', 'pages/notifications/notifications.tsx'),
  route('library', 'pages/library/library.tsx'),
  route('users/:name', 'pages/users/user.tsx'),
  route('comments/:id', 'pages/comments/history.tsx'),
  route('admin/reports', 'pages/admin/reports.tsx'),
  route('admin/claims', 'pages/admin/claims.tsx'),
  route('admin/accounts', 'pages/admin/accounts.tsx'),
  route('admin/audit', 'pages/admin/audit.tsx'),
  route('admin/outbox', 'pages/admin/outbox.tsx'),
  route('*', 'pages/missing.tsx'),
] satisfies RouteConfig;
