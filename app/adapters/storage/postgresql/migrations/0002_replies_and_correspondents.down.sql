DROP TABLE spending, notice, obeyed, correspondent, reply_key, reply;
