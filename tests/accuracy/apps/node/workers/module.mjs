import { marked } from 'marked';

marked.parse('# tea');
